"""A part of labelled samples: some of the classes, and so many samples of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_cli.errors import did_you_mean
from gan_cli.randomness import stream


@dataclass(frozen=True)
class Part:
    """Which samples are taken; the default takes all."""

    classes: Sequence[str | int] | None = None
    """The names of the classes, whose labels are then their places in this list; None takes all."""

    per_class: int | None = None
    """The number of samples of each class; None takes all."""

    seed: int = 0
    """Which samples of a class: those of a smaller number are among those of a larger one."""

    @property
    def is_all(self) -> bool:
        return self.classes is None and self.per_class is None

    def of(self, labels: Tensor | None, names: Sequence[str]) -> tuple[Tensor, Tensor, list[str]]:
        """The indices of the samples in the order that they had, their labels, and the names of their classes.

        Raises `ValueError` for a class that is not there, or has too few samples.
        """
        option = "per_class" if self.classes is None else "classes"
        if labels is None:
            raise ValueError(f"{option}=… needs samples with labels: choose data that have them, or leave it out")
        chosen = list(names) if self.classes is None else [str(name) for name in self.classes]
        if not chosen:
            raise ValueError("classes=[] is empty: name some, or leave it out")
        new_labels = torch.full((max(1, len(names)),), -1)
        for name in chosen:
            if name not in names:
                raise ValueError(f"classes={chosen}: {name} is not a class of the data: {did_you_mean(name, names)}")
            if chosen.count(name) > 1:
                raise ValueError(f"classes={chosen}: {name} stands there twice: leave one out")
            new_labels[names.index(name)] = chosen.index(name)
        taken = torch.cat([self._of_class(labels == names.index(name), name) for name in chosen]).sort().values
        return taken, new_labels[labels[taken]], chosen

    def _of_class(self, is_member: Tensor, name: str) -> Tensor:
        members = is_member.nonzero()[:, 0]
        if self.per_class is None:
            return members
        if len(members) < self.per_class:
            raise ValueError(f"per_class={self.per_class}: class {name} has {len(members)} samples: choose fewer")
        source = torch.Generator().manual_seed(stream(self.seed, f"part of class {name}"))
        return members[torch.randperm(len(members), generator=source)[: self.per_class]]


ALL = Part()
