"""Everything that training changes."""

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

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
    """The state of a game: the networks, the average of the generator, the optimizers, and what else moves."""

    generator: Generator
    critic: Critic
    average: Generator
    generator_optimizer: Optimizer
    critic_optimizer: Optimizer
    step: int = 0
    augmentation: nn.Module | None = None
    """What of the augmentation changes, if anything does."""

    def parts(self) -> Mapping[str, nn.Module | Optimizer]:
        parts: dict[str, nn.Module | Optimizer] = {
            "generator": self.generator,
            "critic": self.critic,
            "average": self.average,
            "generator_optimizer": self.generator_optimizer,
            "critic_optimizer": self.critic_optimizer,
        }
        return parts if self.augmentation is None else parts | {"augmentation": self.augmentation}


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
