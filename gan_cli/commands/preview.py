"""What a run would be, told in place of carrying it out: how long it takes, and how its numbers change."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig

from gan_cli.errors import ConfigError
from gan_cli.show.estimates import Estimate, as_text

SECONDS_OF_ONE = 5.0
"""Seconds for which the steps of a run are timed."""

SECONDS_OF_EACH = 1.0
"""The same where there are several runs."""


def _add_flags(parser: ArgumentParser) -> None:
    """The flags of a command that trains."""
    parser.add_argument("--estimate", action="store_true")
    parser.add_argument("--schedules", type=Path, metavar="FILE.png")


@dataclass
class Preview:
    """What is asked of the runs of a command line."""

    estimate: bool
    schedules: Path | None
    """The picture to write."""
    _found: list[Estimate] = field(default_factory=list)

    def look_at(
        self,
        config: DictConfig,
        path: Path,
        compose: Callable[[Mapping[str, Sequence[str]]], dict[str, DictConfig]],
        *,
        is_one_of_several: bool,
    ) -> None:
        """Take in a run, or a study whose members `compose` gives, and draw what is to be drawn of it.

        Raises `ConfigError`.
        """
        if self.schedules is not None:
            if is_one_of_several or config.get("study"):
                raise ConfigError(f"--schedules {self.schedules} draws one run: leave out -m, and studies")
            from gan_cli.commands.scheduled import draw

            draw(config, path, self.schedules)
        if self.estimate:
            from gan_cli.commands.estimate import estimates

            seconds = SECONDS_OF_EACH if is_one_of_several or config.get("study") else SECONDS_OF_ONE
            name = path.name if is_one_of_several else str(path)
            self._found += estimates(config, path, name, compose, seconds)

    def as_text(self) -> str:
        """What there is to be printed of all runs. Raises `ConfigError` if there were none."""
        if not self._found:
            raise ConfigError("--estimate found no runs: the overrides of the sweep match no option")
        return as_text(self._found)


def asked_of(parser: ArgumentParser) -> Preview | None:
    """What the command line asks of its runs in place of training them, by flags that Hydra does not know."""
    _add_flags(parser)
    asked, sys.argv[1:] = parser.parse_known_args()
    return Preview(**vars(asked)) if any(vars(asked).values()) else None
