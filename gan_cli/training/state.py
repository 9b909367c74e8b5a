"""Everything that training changes, in one file on disk that holds tensors and plain containers only."""

import copy
import hashlib
import io
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_cli.errors import CheckpointError, DamagedCheckpointError
from gan_cli.files import digest_path, file_digest
from gan_cli.models.base import Critic, Generator


class State(ABC):
    """Everything that training changes: named parts, and the number of steps taken."""

    step: int

    @abstractmethod
    def parts(self) -> Mapping[str, nn.Module | Optimizer]:
        """Networks and optimizers by name."""

    def state_dict(self) -> dict[str, Any]:
        """All of it, by the names of the parts."""
        parts = {name: part.state_dict() for name, part in self.parts().items()}
        return {"step": self.step, **parts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave. Raise `RuntimeError`, `KeyError` or `ValueError` for other networks'."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])
        self.step = int(state["step"])

    def is_finite(self) -> bool:
        """Whether every number in it is."""
        tensors = [tensor for _, tensor in _tensors(self.state_dict())]
        return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)

    def fingerprint(self) -> str:
        """The SHA-256 over all weights and optimizer state, equal for runs that are equal bit for bit."""
        digest = hashlib.sha256()
        for name, tensor in _tensors(self.state_dict()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


@dataclass
class TrainState(State):
    """The state of a game: the networks, the average of the generator, and the optimizers."""

    generator: Generator
    critic: Critic
    average: Generator
    generator_optimizer: Optimizer
    critic_optimizer: Optimizer
    step: int = 0

    def parts(self) -> Mapping[str, nn.Module | Optimizer]:
        return {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }


def averaged_copy(generator: Generator) -> Generator:
    """A copy that follows the generator without gradients, as it is used to draw samples."""
    return copy.deepcopy(generator).requires_grad_(False).eval()


def _tensors(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor and number of nested containers with the path to it, in the order of the paths' parts."""
    match tree:
        case Tensor():
            yield name, tree
        case Mapping():
            for key in sorted(tree, key=str):
                yield from _tensors(tree[key], f"{name}.{key}")
        case list() | tuple():
            for index, item in enumerate(tree):
                yield from _tensors(item, f"{name}.{index}")
        case int() | float():
            yield name, torch.tensor(tree, dtype=torch.float64)


def save(state: State, path: Path) -> str:
    """Write `state` so that a crash leaves either the whole file or none; returns its SHA-256.

    The digest goes to `path` + ".sha256" in the form that `sha256sum -c` reads.
    """
    # By way of memory: of a disk that is full, torch's own writer tells in a RuntimeError.
    content = io.BytesIO()
    torch.save(state.state_dict(), content)
    digest = hashlib.sha256(content.getbuffer()).hexdigest()
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        digest_path(path).write_text(f"{digest}  {path.name}\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The state that `save` wrote to `path`, verified against its digest; no code in the file is run.

    Raises `DamagedCheckpointError` when the file is not what was written, `CheckpointError` when it never was a
    checkpoint.
    """
    try:
        expected = digest_path(path).read_text().split()[0]
        actual = file_digest(path)
    except (OSError, IndexError, UnicodeDecodeError) as error:
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
