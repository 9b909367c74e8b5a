"""Which divergence under which penalty finds a data set of one point (Mescheder 2018, arXiv 1801.04406)."""

from collections.abc import Mapping, Sequence

from omegaconf import DictConfig

from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.divergences.base import Divergence
from gan_cli.jobs import GameJob
from gan_cli.ranges import Count, Positive
from gan_cli.show.tables import aligned
from gan_cli.studies import dirac_figures
from gan_cli.studies.base import Findings, Study
from gan_cli.studies.dirac_game import DiracGame, behaviour


class Dirac(Study):
    """Every divergence under every penalty, as the configs list them; it trains no member."""

    needs_members = False

    def __init__(
        self,
        members: Mapping[str, Sequence[str]],
        step_size: Positive,
        steps: Count,
        weight: float,
        start: Positive,
        more: Sequence[str],
    ) -> None:
        """Paths take `steps` updates from (start, start); `weight` is that of every penalty that has one.

        `more` are divergences with values of their keys, such as `gan:generator_loss=minimax`.
        """
        super().__init__(members)
        self.step_size = step_size
        self.steps = steps
        self.weight = weight
        self.start = start
        rows = sorted([*options.names("divergence"), *more])
        columns = sorted(options.names("divergence/penalty"), key=lambda name: (name != "none", name))
        # Options that differ in nothing but the weight, or the share of a batch that here is one point, are one.
        once = {self._penalty(column): column for column in reversed(columns)}
        columns = [column for column in columns if column in once.values()]
        self.games = {row: {column: self._game(row, column) for column in columns} for row in rows}

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        found = {
            row: {name: behaviour(game, self.step_size, self.steps, self.start) for name, game in games.items()}
            for row, games in self.games.items()
        }
        rows: list[list[object]] = [["", *next(iter(found.values()))]]
        for row, cells in found.items():
            rows.append([row, *(f"{cell.measured['alternating']:.4f} {cell.verdict}" for cell in cells.values())])
        numbers = {row: {name: cell.numbers() for name, cell in cells.items()} for row, cells in found.items()}
        paths = dirac_figures.paths(self.games, found, reach=1.9 * self.start)
        return Findings(aligned(rows), numbers, {"dirac.png": paths, "dirac_table.png": dirac_figures.verdicts(found)})

    def _game(self, divergence: str, penalty: str) -> DiracGame:
        node: DictConfig = options.option("divergence", divergence)
        node.penalty = self._penalty(penalty)
        return DiracGame(build(node, Divergence, "divergence"))

    def _penalty(self, name: str) -> DictConfig:
        node = options.option("divergence/penalty", name)
        for key, value in {"weight": self.weight, "share": 1.0}.items():
            if key in node:
                node[key] = value
        return node
