"""A run's folder: the only code that writes into it, and each write leaves either the old file or the new one."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gan_cli import files
from gan_cli.config import options
from gan_cli.errors import CommandError, ConfigError
from gan_cli.runs import read
from gan_cli.runs.find import MEMBERS
from gan_cli.runs.numbers import in_json
from gan_cli.runs.read import Numbers
from gan_cli.runs.receipts import Receipt

EVALUATION_LOCK = ".evaluation.lock"


OWN = {path.parts[0] for path in (read.CONFIG, read.RECORD, read.METRICS, read.RECEIPTS, read.REAL, read.CHECKPOINTS)}
OWN |= {
    "curves.png",
    "attacks.png",
    "adversarial.png",
    *read.PICTURED,
    *(f"{shown}.png" for shown in read.PICTURED),
    "train.log",
    *(f"{metric}.png" for metric in options.names("metric")),
}
"""What a run keeps in its folder, by the first name on the way to it."""


def is_own(path: Path) -> bool:
    """Whether an absolute path is, or is within, what the nearest run above it keeps; a study keeps every picture."""
    run = next((folder for folder in path.parents if (folder / read.CONFIG).exists()), None)
    if run is None:
        return False
    first, *rest = path.relative_to(run).parts
    of_study = (run / MEMBERS).exists() and (first == MEMBERS or (not rest and path.suffix == ".png"))
    return first in OWN or of_study


class RunFolder:
    """The files of one run. See the README for what each of them is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder and hold it against other processes; the kernel lets go when this process dies.

        Raises `ConfigError` when another process holds it, when it holds something other than a run, or when it
        cannot be written.
        """
        try:
            self.refuse_others()
            files.make_folder(self.path)
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
            self._remove_temporaries()
            with self._logging():
                yield
        finally:
            lock.release()

    def refuse_others(self) -> None:
        """Raise `ConfigError` where the folder holds something other than a run.

        That is also a link or a file in the place of a folder of a run, and a folder in that of a file.
        """
        ours = {".hydra", ".lock", "train.log"}  # what is there before the config, should a run be killed so early
        if self.path.is_dir() and read.config(self.path) is None and {p.name for p in self.path.iterdir()} - ours:
            raise ConfigError(f"{self.path} holds files that are not a run's: choose another name=…")
        for name in (read.CONFIG.parent, read.CHECKPOINTS, *map(Path, read.PICTURED)):
            path = self.path / name
            if path.is_symlink() or path.is_file():
                raise ConfigError(f"{path} is no folder: move it away, or choose another name=…")
        for name in (
            read.CONFIG,
            read.RECORD,
            read.METRICS,
            read.REAL,
            *map(Path, ("curves.png", *(f"{shown}.png" for shown in read.PICTURED), "train.log")),
        ):
            if (self.path / name).is_dir():
                raise ConfigError(f"{self.path / name} is a folder: move it away, or choose another name=…")

    def _remove_temporaries(self) -> None:
        """Remove what a process that was killed was writing."""
        with _explaining(self.path):
            for folder in (read.CONFIG.parent, read.CHECKPOINTS, *read.PICTURED):
                for path in files.temporaries(self.path / folder):
                    path.unlink()
            if files.temporaries(self.path):
                with FileLock(self.path / EVALUATION_LOCK):  # gan-eval writes here too
                    for path in files.temporaries(self.path):
                        path.unlink()

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Copy the program's log into train.log."""
        with _explaining(self.path / "train.log"):
            handler = logging.StreamHandler(files.appending(self.path / "train.log"))
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        package = logging.getLogger("gan_cli")
        package.addHandler(handler)
        try:
            yield
        finally:
            package.removeHandler(handler)
            handler.stream.close()

    def write_config(self, texts: Mapping[str, str]) -> None:
        """Keep the composed config as yaml, by file name; config.yaml last, since it is what makes this a run."""
        for name in sorted(texts, key=lambda name: name == read.CONFIG.name):
            self._write(read.CONFIG.with_name(name), texts[name].encode())

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Replace run.json."""
        self._write(read.RECORD, (json.dumps(in_json(record), indent=2) + "\n").encode())

    def append_metrics(self, numbers: Mapping[str, float]) -> None:
        """Add one line to metrics.jsonl."""
        path = self.path / read.METRICS
        with _explaining(path), files.appending(path) as file:
            file.write(json.dumps(in_json(numbers), allow_nan=False) + "\n")

    def rewind_metrics(self, step: int) -> list[Numbers]:
        """Drop the lines beyond `step` from metrics.jsonl, and a line cut short; returns the others."""
        kept = [line for line in read.metrics(self.path) if line["step"] <= step]
        self._write(read.METRICS, "".join(json.dumps(in_json(line)) + "\n" for line in kept).encode())
        return kept

    def add_receipt(self, receipt: Receipt, figures: Mapping[str, bytes]) -> None:
        """Add a measurement to evaluation.json, and its figures by file name, beside other processes that do so."""
        with _explaining(self.path / read.RECEIPTS), FileLock(self.path / EVALUATION_LOCK):
            receipts = [*read.receipts(self.path), receipt]
            self._write(read.RECEIPTS, (json.dumps(in_json({"receipts": receipts}), indent=2) + "\n").encode())
            for name, png in figures.items():
                self._write(Path(name), png)

    def write_curves(self, png: bytes) -> None:
        """Replace curves.png."""
        self._write(Path("curves.png"), png)

    def write_picture(self, shown: str, step: int, png: bytes) -> None:
        """Add the picture of a step to the folder of what is `shown`; it is also the new one beside that folder."""
        self._write(_picture(shown, step), png)
        self._write(Path(f"{shown}.png"), png)

    def shows(self, shown: str, step: int) -> bool:
        """Whether there is a picture of a step."""
        return (self.path / _picture(shown, step)).exists()

    def holds(self, name: Path) -> bool:
        """Whether there is a file of this name."""
        return (self.path / name).exists()

    def write_findings(self, name: str, content: bytes) -> None:
        """Replace a file about the run as a whole: a picture, a table, a page."""
        self._write(Path(name), content)

    def remove_findings(self, name: str) -> None:
        """Remove a file about the run as a whole, if there is one."""
        path = self.path / name
        with _explaining(path):
            path.unlink(missing_ok=True)

    def write_checkpoint(self, step: int, content: bytes | memoryview, keep: int) -> Path:
        """Write the checkpoint of a step with its digest, and then remove all but the newest `keep` up to this step.

        After every single operation the newest checkpoint that was there before, or this one, is whole on the disk:
        the digest comes before its file, and what is removed is older than a file that is synced. Checkpoints of later
        steps are damaged ones, else the run would have gone on from them; they stay until it arrives there.
        """
        path = read.checkpoint_path(self.path, step)
        digest = hashlib.sha256(content).hexdigest()
        with _explaining(path):
            try:
                files.write(read.digest_path(path), f"{digest}  {path.name}\n".encode())  # as `sha256sum -c` reads it
                files.write(path, content)
            except BaseException:
                if not path.exists():
                    read.digest_path(path).unlink(missing_ok=True)
                raise
            for old in [old for old in read.checkpoints(self.path) if read.step_of(old) <= step][:-keep]:
                # In this order a kill leaves no digest without its file; the file is found again next time.
                read.digest_path(old).unlink(missing_ok=True)
                old.unlink()
        return path

    def _write(self, name: Path, content: bytes) -> None:
        with _explaining(self.path / name):
            files.write(self.path / name, content)


def _picture(shown: str, step: int) -> Path:
    return Path(shown, f"step-{step:07d}.png")


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
