"""What a study is: a question that is put to several runs, its members, and ends in a figure and in numbers."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gan_cli.jobs import GameJob


@dataclass(frozen=True)
class Findings:
    """The answer."""

    table: str
    """A few aligned lines for the terminal."""
    numbers: dict[str, Any]
    """What run.json keeps: numbers, lists of numbers, or mappings of these, by name."""
    figures: dict[str, bytes] = field(default_factory=dict)
    """PNG files by name."""


class Members(Mapping[str, GameJob], ABC):
    """The members of a study by name."""

    @abstractmethod
    def over_time(self, name: str) -> Iterator[GameJob]:
        """A member at each of the checkpoints that it kept, oldest first: one job, whose state moves on."""


class Study(ABC):
    """Runs that differ from the study's own config by a few overrides each, and what they show together."""

    needs_members: ClassVar[bool] = True
    """Whether there is nothing to conclude without any."""

    takes_packs: ClassVar[bool] = False
    """Whether members may have critics that judge several samples together, which have no score of one sample."""

    def __init__(self, members: Mapping[str, Sequence[str]]) -> None:
        """`members`: the overrides of each run; one of several values (`seed=0,1`) stands for as many runs."""
        self.members = members

    def check(self, members: Mapping[str, GameJob]) -> None:  # noqa: B027 - some take any
        """Raise `ValueError` for members that it cannot conclude from, before they are trained."""

    @abstractmethod
    def conclude(self, members: Members) -> Findings:
        """The findings from the members as they stand after training, by name, less those that diverged.

        A study that looks at no earlier checkpoint may take any mapping of jobs.
        """
