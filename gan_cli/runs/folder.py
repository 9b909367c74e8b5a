"""A run's folder: the only code that writes into it, and each write leaves either the old file or the new one."""

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from gan_cli.errors import CheckpointError, CommandError, ConfigError, DamagedCheckpointError
from gan_cli.files import digest_path
from gan_cli.runs.receipts import Receipt, is_receipt

if TYPE_CHECKING:  # commands that read no tensors answer before torch would be imported
    from gan_cli.training.state import State

logger = logging.getLogger(__name__)

CONFIG = Path(".hydra", "config.yaml")

NOT_FINITE = ("Infinity", "-Infinity", "NaN")
"""Numbers that are written as text."""


class RunFolder:
    """The files of one run. See the README for what each of them is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_config(self) -> DictConfig | None:
        """The composed config of the run that is in this folder; None where there is no run.

        Raises `ConfigError` when it cannot be read.
        """
        path = self.path / CONFIG
        try:
            config = OmegaConf.create(path.read_text(encoding="utf-8"))
            if not isinstance(config, DictConfig):
                raise TypeError("it is a list")
            OmegaConf.resolve(config)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): choose another name=…") from error
        except Exception as error:  # whatever yaml and OmegaConf trip over
            raise ConfigError(f"{path} is damaged: restore it, or choose another run") from error
        return config

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and hold it against other processes; the kernel lets go when this process dies.

        Raises `ConfigError` when another process holds it, when it holds something other than a run, or when it
        cannot be written.
        """
        ours = {".hydra", ".lock", "train.log"}  # what is there before the config, should a run be killed so early
        try:
            if self.path.is_dir() and self.read_config() is None and {p.name for p in self.path.iterdir()} - ours:
                raise ConfigError(f"{self.path} holds files that are not a run's: choose another name=…")
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock", timeout=0)
            lock.acquire()
        except Timeout:
            raise ConfigError(
                f"{self.path} is in use by another process: wait for it, or choose another name=…"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{self.path} cannot be written ({error.strerror}): choose another outputs=… or name=…"
            ) from error
        try:
            with self._logging():
                yield
        finally:
            lock.release()

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Copy the program's log into train.log."""
        handler = logging.FileHandler(self.path / "train.log")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package = logging.getLogger("gan_cli")
        package.addHandler(handler)
        try:
            yield
        finally:
            package.removeHandler(handler)
            handler.close()

    def write_config(self, files: Mapping[str, str]) -> None:
        """Keep the composed config as yaml, by file name; config.yaml last, since it is what makes this a run."""
        for name in sorted(files, key=lambda name: name == CONFIG.name):
            self._write(CONFIG.parent / name, files[name].encode())

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json."""
        self._write(Path("run.json"), (json.dumps(in_json(record), indent=2) + "\n").encode())

    def append_metrics(self, numbers: Mapping[str, float]) -> None:
        """Add one line to metrics.jsonl."""
        with _explaining(self.path / "metrics.jsonl"), (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(in_json(numbers), allow_nan=False) + "\n")

    def rewind_metrics(self, step: int) -> list[dict[str, float]]:
        """Drop the lines beyond `step` from metrics.jsonl, and a line cut short; returns the others."""
        kept = [line for line in self.read_metrics() if line["step"] <= step]
        text = "".join(json.dumps(in_json(line)) + "\n" for line in kept)
        self._write(Path("metrics.jsonl"), text.encode())
        return kept

    def read_metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, without those that are damaged."""
        path = self.path / "metrics.jsonl"
        lines = []
        for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
            try:
                numbers = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(numbers, dict) and isinstance(numbers.get("step"), int):
                lines.append(from_json(numbers))
        return lines

    def read_receipts(self) -> list[Receipt]:
        """The measurements in evaluation.json. Raises `ConfigError` where it is damaged."""
        path = self.path / "evaluation.json"
        try:
            receipts = from_json(json.loads(path.read_text()))["receipts"]
            if not isinstance(receipts, list) or not all(map(is_receipt, receipts)):
                raise TypeError("it is no list of receipts")
        except FileNotFoundError:
            return []
        except (PermissionError, IsADirectoryError) as error:
            raise ConfigError(f"{path} cannot be read ({error.strerror}): mend that") from error
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{path} is damaged: restore it, or remove it to measure anew") from error
        return receipts

    def add_receipt(self, receipt: Receipt, figures: Mapping[str, bytes]) -> None:
        """Add a measurement to evaluation.json, and its figures by file name, beside other processes that do so."""
        with _explaining(self.path / "evaluation.json"), FileLock(self.path / ".evaluation.lock"):
            receipts = [*self.read_receipts(), receipt]
            self._write(
                Path("evaluation.json"), (json.dumps(in_json({"receipts": receipts}), indent=2) + "\n").encode()
            )
            for name, png in figures.items():
                self._write(Path(name), png)

    def write_curves(self, png: bytes) -> None:
        """Replace curves.png."""
        self._write(Path("curves.png"), png)

    def write_samples(self, step: int, png: bytes) -> None:
        """Add the picture of a step, which is also the new samples.png."""
        self._write(Path("samples", f"step-{step:07d}.png"), png)
        self._write(Path("samples.png"), png)

    def write_figure(self, name: str, png: bytes) -> None:
        """Replace a picture of the run as a whole."""
        self._write(Path(name), png)

    def save_checkpoint(self, train_state: "State", keep: int) -> Path:
        """Write the checkpoint of a step, and remove all but the newest `keep`."""
        from gan_cli.training import state

        path = self._checkpoint(train_state.step)
        with _explaining(path):
            path.parent.mkdir(exist_ok=True)
            state.save(train_state, path)
        for old in self.checkpoints()[:-keep]:
            # In this order a kill leaves no digest without its file; the file is found again next time.
            digest_path(old).unlink(missing_ok=True)
            old.unlink()
        return path

    def checkpoints(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted((self.path / "checkpoints").glob("step-*.pt"))

    def checkpoint_of(self, step: int) -> Path:
        """The checkpoint of a step. Raises `ConfigError` where there is none."""
        path = self._checkpoint(step)
        if not path.exists():
            steps = ", ".join(str(step_of(path)) for path in self.checkpoints())
            raise ConfigError(f"{self.path} has no checkpoint of step {step}, only of: {steps or 'none'}")
        return path

    def load_checkpoint(self, step: int | None = None, device: Any = "cpu") -> tuple[Path, dict[str, Any]] | None:
        """The checkpoint of `step`, or the newest one that is whole, and its content; None where none was written.

        A damaged newest one is passed over with a warning. Raises `ConfigError` when what was asked for is damaged,
        missing, or no checkpoint.
        """
        from gan_cli.training import state

        candidates = self.checkpoints() if step is None else [self.checkpoint_of(step)]
        for path in reversed(candidates):
            try:
                return path, state.load(path, device)
            except DamagedCheckpointError as error:
                if len(candidates) == 1:
                    raise ConfigError(
                        f"{error}, and it is the only one: choose another name=… to start anew"
                    ) from error
                logger.warning("%s; trying the one before", error)
            except CheckpointError as error:
                raise ConfigError(f"{error}: remove it to use the one before") from error
        if candidates:
            raise ConfigError(
                f"{self.path / 'checkpoints'} holds damaged files only: choose another name=… to start anew"
            )
        return None

    def _checkpoint(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step-{step:07d}.pt"

    def _write(self, name: Path, content: bytes) -> None:
        path = self.path / name
        temporary = path.with_name(path.name + ".tmp")
        with _explaining(path):
            path.parent.mkdir(exist_ok=True)
            try:
                with temporary.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was saved after."""
    return int(checkpoint.stem.removeprefix("step-"))


def in_json(value: Any) -> Any:
    """A divergence may be infinite, and so may an estimate of it, for which JSON has no number."""
    if isinstance(value, Mapping):
        return {name: in_json(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(child) for child in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def from_json(value: Any) -> Any:
    """The reverse of `in_json`."""
    if isinstance(value, dict):
        return {name: from_json(child) for name, child in value.items()}
    if isinstance(value, list):
        return [from_json(child) for child in value]
    return float(value) if value in NOT_FINITE else value


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """A write that fails, for want of space or of permission, ends the run in one line."""
    try:
        yield
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written ({error.strerror or error}): free some space or permit it, then run the"
            " same command, which goes on from what is saved"
        ) from error
