"""Checkpoints: all that training changes, in one file that holds tensors and plain containers only."""

import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gan_cli.errors import CheckpointError, ConfigError, DamagedCheckpointError
from gan_cli.files import file_digest
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder

logger = logging.getLogger(__name__)

State = Mapping[str, Any]
"""The number of steps taken under "step"; tensors and numbers in plain containers under every other name."""


def save(folder: RunFolder, state: State, keep: int) -> Path:
    """Write the checkpoint of a state, and remove all but the newest `keep`."""
    # Serialised to memory first: on a full disk torch.save raises RuntimeError, not OSError.
    content = io.BytesIO()
    torch.save(dict(state), content)
    return folder.write_checkpoint(state["step"], content.getbuffer(), keep)


def newest(folder: Path, step: int | None = None, device: torch.device | str = "cpu") -> tuple[Path, dict[str, Any]]:
    """The checkpoint of `step`, or the newest one that is whole, and the state in it.

    A damaged newest one is passed over with a warning. Raises `ConfigError` when what was asked for is damaged,
    missing, or no checkpoint.
    """
    candidates = read.checkpoints(folder) if step is None else [read.checkpoint_of(folder, step)]
    if not candidates:
        raise ConfigError(f"{folder} has no checkpoint yet: wait for its first, or set every.checkpoint")
    for path in reversed(candidates):
        try:
            return path, load(path, device)
        except DamagedCheckpointError as error:
            if len(candidates) == 1:
                raise ConfigError(f"{error}, and it is the only one: choose another name=… to start anew") from error
            logger.warning("%s; trying the one before", error)
        except CheckpointError as error:
            raise ConfigError(f"{error}: remove it to use the one before") from error
    raise ConfigError(f"{folder / read.CHECKPOINTS} holds damaged files only: choose another name=… to start anew")


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state in a checkpoint, verified against its digest; no code in the file is run.

    Raises `DamagedCheckpointError` when the file is not what was written, `CheckpointError` when it never was a
    checkpoint.
    """
    try:
        expected = read.digest_of(path)
        actual = file_digest(path)
    except (OSError, ValueError) as error:
        raise DamagedCheckpointError(f"{path} or its .sha256 file cannot be read: {error}") from error
    if actual != expected:
        raise DamagedCheckpointError(f"{path} is damaged: its SHA-256 is not the one in {path.name}.sha256")
    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # whatever the unpickler trips over
        raise CheckpointError(f"{path} is not a checkpoint of tensors alone, so it was not loaded") from error
    if not isinstance(state, dict) or "step" not in state:
        raise CheckpointError(f"{path} is not a checkpoint of a run")
    return state
