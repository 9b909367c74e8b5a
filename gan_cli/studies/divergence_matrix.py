"""Generators trained under K divergences, each scored under all of them: what a divergence cares for."""

from collections.abc import Mapping

from gan_cli import sampling
from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact import samples as kernel_density
from gan_cli.exact.estimated import Estimated
from gan_cli.exact.truth import Truth
from gan_cli.jobs import GameJob
from gan_cli.show.pictures import heat_map
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study

SAMPLES = 131_072


class DivergenceMatrix(Study):
    """The exact divergence, under every member's that has a closed form, of every member's averaged generator."""

    takes_packs = True

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, Density):
                raise ValueError(f"{name} must have data with a known density: a toy such as dataset=ring")
            kernel_density.check(member.dataset)

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        divergences = {name: member.divergence for name, member in members.items()}
        scores = {name: _scores(member, divergences) for name, member in members.items()}
        # A row is a way to train and tells the generator's form; a column is a divergence, whichever form descends it.
        rows = {name: _trained_under(name, divergence) for name, divergence in divergences.items()}
        values = {rows[i]: {j: score.value for j, score in row.items()} for i, row in scores.items()}
        errors = {rows[i]: {j: score.error for j, score in row.items()} for i, row in scores.items()}
        columns = list(next(iter(values.values())))
        table: list[list[object]] = [["trained / measured under", *columns]]
        table += [[name, *(f"{value:.4g}" for value in row.values())] for name, row in values.items()]
        figure = heat_map({"exact divergence from the data": values}, rows="trained under", columns="measured under")
        return Findings(aligned(table), {"matrix": values, "errors": errors}, {"divergence_matrix.png": figure})


def _trained_under(name: str, divergence: Divergence) -> str:
    return f"{name}, {divergence.generator_loss}" if isinstance(divergence, FDivergence) else name


def _scores(member: GameJob, divergences: Mapping[str, Divergence]) -> dict[str, Estimated]:
    data, generator = member.dataset, member.state.average
    assert isinstance(data, Density)
    fake = sampling.generate(generator, sampling.latents(generator, SAMPLES, member.seed))
    truth = Truth(data, generator.density(), fake)
    scores = {}
    for name, divergence in divergences.items():
        try:
            scores[name] = truth.divergence(divergence)
        except NotImplementedError:
            continue
    return scores
