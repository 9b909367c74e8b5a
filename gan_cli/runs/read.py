"""The files of a run's folder, each for a command that needs it. Imports no torch."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli.config.earlier import modernised
from gan_cli.editions import NEWEST
from gan_cli.errors import ConfigError
from gan_cli.runs.numbers import from_json
from gan_cli.runs.receipts import Receipt, is_receipt

Numbers = dict[str, float]

CONFIG = Path(".hydra", "config.yaml")
RECORD = Path("run.json")
METRICS = Path("metrics.jsonl")
RECEIPTS = Path("evaluation.json")
CHECKPOINTS = Path("checkpoints")
REAL = Path("real.png")
PICTURED = ("samples", "confusion")
"""What the pictures of a run show: a game's its samples, a classifier's what it takes images for."""


class UnreadableError(Exception):
    """Why a file that is there cannot be used: the message goes after its name."""


class DamagedError(UnreadableError):
    """A file whose content is not what its name says."""

    def __init__(self) -> None:
        super().__init__("is damaged")


def config(folder: Path) -> DictConfig | None:
    """The composed config of the run in this folder; None where there is no run. Raises `ConfigError`."""
    try:
        found: DictConfig | None = mapping(folder / CONFIG, _resolved)
    except UnreadableError as error:
        remedy = "restore it, or choose another run" if isinstance(error, DamagedError) else "choose another name=…"
        raise ConfigError(f"{folder / CONFIG} {error}: {remedy}") from error
    return found


def config_of_run(folder: Path) -> DictConfig:
    """The config of a single run. Raises `ConfigError` for a folder that holds none, or a study of several."""
    found = config(folder)
    if found is None:
        raise ConfigError(f"{folder} is not the folder of a run: it has no .hydra/config.yaml")
    if found.get("study"):
        raise ConfigError(f"{folder} is a study of several runs: choose one in {folder / 'members'}")
    return found


def record(folder: Path) -> dict[str, Any]:
    """run.json; empty where there is none that can be read."""
    try:
        return mapping(folder / RECORD, json.loads) or {}
    except UnreadableError:
        return {}


def edition(folder: Path) -> int:
    """The edition of the run in this folder; the newest where none has got to a checkpoint. Raises `ConfigError`."""
    if not checkpoints(folder):
        return NEWEST
    number = record(folder).get("edition", 1)
    if number not in range(1, NEWEST + 1):
        raise ConfigError(f"{folder / RECORD}: edition={number} is of a later version: bring gan-cli up to date")
    return int(number)


def metrics(folder: Path) -> list[Numbers]:
    """The lines of metrics.jsonl by step, without those that are damaged. Raises `ConfigError`."""
    try:
        return lines(text_of(folder / METRICS) or "")[0]
    except UnreadableError as error:
        raise ConfigError(f"{folder / METRICS} {error}: mend that") from error


def receipts(folder: Path) -> list[Receipt]:
    """The measurements in evaluation.json. Raises `ConfigError` where it is damaged, since a new one would hide it."""
    return receipts_in(folder / RECEIPTS)


def receipts_in(path: Path) -> list[Receipt]:
    """The measurements in a file; none if there is no such file. Raises `ConfigError`, as `receipts` does."""
    try:
        content = mapping(path, json.loads)
        listed = [] if content is None else from_json(content.get("receipts"))
        if not isinstance(listed, list) or not all(map(is_receipt, listed)):
            raise DamagedError
    except UnreadableError as error:
        remedy = "restore it, or remove it to measure anew" if isinstance(error, DamagedError) else "mend that"
        raise ConfigError(f"{path} {error}: {remedy}") from error
    return listed


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted((folder / CHECKPOINTS).glob("step-*.pt"))


def pictures(folder: Path) -> dict[int, Path]:
    """The pictures by step, oldest first."""
    found = (path for shown in PICTURED for path in (folder / shown).glob("step-*.png"))
    paths = {path.stem.removeprefix("step-"): path for path in found}
    return {int(step): paths[step] for step in sorted(filter(str.isdecimal, paths), key=int)}


def checkpoint_of(folder: Path, step: int) -> Path:
    """The checkpoint of a step. Raises `ConfigError` where there is none."""
    path = checkpoint_path(folder, step)
    if not path.exists():
        steps = ", ".join(str(step_of(path)) for path in checkpoints(folder))
        raise ConfigError(f"{folder} has no checkpoint of step {step}, only of: {steps or 'none'}")
    return path


def checkpoint_path(folder: Path, step: int) -> Path:
    """The path of the checkpoint of a step."""
    return folder / CHECKPOINTS / f"step-{step:07d}.pt"


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was saved after."""
    return int(checkpoint.stem.removeprefix("step-"))


def digest_path(checkpoint: Path) -> Path:
    """The path of the digest of a checkpoint."""
    return checkpoint.with_name(checkpoint.name + ".sha256")


def digest_of(checkpoint: Path) -> str:
    """The SHA-256 that was recorded of a checkpoint. Raises `OSError` or `ValueError` where it is lost."""
    words = digest_path(checkpoint).read_text(encoding="ascii").split()
    if not words:
        raise ValueError(f"{digest_path(checkpoint)} is empty")
    return words[0]


def text_of(path: Path) -> str | None:
    """The text of a file, damaged letters replaced; None if there is no such file. Raises `UnreadableError`."""
    content = _bytes_of(path)
    return None if content is None else content.decode(errors="replace")


def mapping(path: Path, parse: Callable[[str], Any]) -> Any:
    """The mapping in a file; None if there is no such file. Raises `UnreadableError`."""
    written = _bytes_of(path)
    if written is None:
        return None
    try:
        content = parse(written.decode())
    except Exception:  # the parsers of yaml and JSON, and OmegaConf, may raise anything
        content = None
    if not isinstance(content, Mapping):
        raise DamagedError
    return content


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableError(f"cannot be read ({error.strerror})") from error


def _resolved(text: str) -> Any:
    written = OmegaConf.create(text)
    if not isinstance(written, DictConfig):
        return written
    config = OmegaConf.create(modernised(OmegaConf.to_container(written)))
    OmegaConf.resolve(config)
    return config


def lines(text: str) -> tuple[list[Numbers], int]:
    """The lines by step, of a step that was logged twice the later; and how many are damaged."""
    by_step: dict[int, Numbers] = {}
    damaged = 0
    for written in text.splitlines():
        try:
            line = json.loads(written)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict) and type(line.get("step")) is int:
            by_step[line["step"]] = from_json(line)
        else:
            damaged += 1
    return [by_step[step] for step in sorted(by_step)], damaged
