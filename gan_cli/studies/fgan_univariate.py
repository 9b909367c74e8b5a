"""f-GAN's univariate experiment: a Gaussian fitted under several divergences (arXiv 1606.00709, Table 3)."""

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from matplotlib.figure import Figure
from scipy.optimize import minimize
from torch import nn

from gan_cli import sampling
from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Gaussian
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact import densities
from gan_cli.jobs import GameJob
from gan_cli.models.base import Critic, Generator
from gan_cli.models.toys import GaussianGenerator
from gan_cli.randomness import stream
from gan_cli.ranges import Count
from gan_cli.schedules import Cosine
from gan_cli.show.pictures import heat_map, png
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study
from gan_cli.training.loop import Game, train
from gan_cli.training.scheduling import Scheduling

Matrix = dict[str, dict[str, float]]
"""Numbers by the divergence of training, then by that of the measurement."""


@dataclass(frozen=True)
class Row:
    """A column of the paper's Table 3, in its order; * is the exact optimum, ^ what was learned."""

    exact: float
    bound: float
    best_mean: float
    mean: float
    best_deviation: float
    deviation: float


class FGanUnivariate(Study):
    """Each member's fit beside the best one there is, and how each fit fares under the divergence of every other."""

    def __init__(
        self, members: Mapping[str, Sequence[str]], critic_steps: Count, published: Mapping[str, Sequence[float]]
    ) -> None:
        super().__init__(members)
        self.critic_steps = critic_steps
        self.published = published

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, Density) or member.dataset.sample_shape != (1,):
                raise ValueError(f"{name} must have data on the line, such as dataset=mixture1d")
            if not isinstance(member.state.generator, GaussianGenerator):
                raise ValueError(f"{name} must have model=gaussian")
            if not isinstance(member.divergence, FDivergence):
                raise ValueError(f"{name} must have an f-divergence")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        rows = {name: _row(member) for name, member in members.items()}
        fits = {name: member.state.average for name, member in members.items()}
        exact_matrix: Matrix = {name: {} for name in fits}
        learned: Matrix = {name: {} for name in fits}
        for under, member in members.items():
            for name, fit in fits.items():
                exact_matrix[name][under] = densities.between(member.divergence, _data(member), _density(fit))
                learned[name][under] = _learned(fit, member, self.critic_steps)
        numbers = {
            "table": {name: vars(row) for name, row in rows.items()},
            "published": self.published,
            "exact_matrix": exact_matrix,
            "learned_matrix": learned,
        }
        figures = {
            "fgan_univariate.png": png(_figure(members, rows)),
            "fgan_matrix.png": heat_map(
                {"exact, by quadrature": exact_matrix, "learned, by fresh critics": learned},
                rows="trained under",
                columns="measured under",
            ),
        }
        return Findings(self._text(rows, exact_matrix, learned), numbers, figures)

    def _text(self, rows: Mapping[str, Row], *matrices: Mapping[str, Mapping[str, float]]) -> str:
        header = ["", "D_f", "F", "μ*", "μ̂", "σ*", "σ̂"]
        lines: list[list[object]] = [list(header)]
        for name, row in rows.items():
            lines += [[name, *vars(row).values()]]
            if name in self.published:
                lines += [["  published", *self.published[name]]]
        tables = [aligned(lines)]
        for title, matrix in zip(("exact", "learned"), matrices, strict=True):
            tables.append(
                aligned([[f"{title}: trained / under", *matrix], *([i, *row.values()] for i, row in matrix.items())])
            )
        return "\n\n".join(tables)


def _data(member: GameJob) -> Density:
    assert isinstance(member.dataset, Density)
    return member.dataset


def _density(generator: Generator) -> Density:
    density = generator.density()
    assert density is not None
    return density


def _row(member: GameJob) -> Row:
    generator = member.state.average
    assert isinstance(generator, GaussianGenerator)
    best_mean, best_deviation = best_gaussian(member.divergence, _data(member))
    return Row(
        exact=densities.between(member.divergence, _data(member), Gaussian([best_mean], best_deviation)),
        bound=_bound(member.divergence, member.state.critic, _data(member), _density(generator)),
        best_mean=best_mean,
        mean=generator.mean.item(),
        best_deviation=best_deviation,
        deviation=abs(generator.deviation.item()),
    )


def best_gaussian(divergence: Divergence, data: Density) -> tuple[float, float]:
    """μ* and σ* that minimise the exact divergence from the data, densities on the line."""
    objective = lambda x: densities.between(divergence, data, Gaussian([float(x[0])], abs(float(x[1]))))  # noqa: E731
    found = minimize(objective, x0=[1.0, 1.8], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-10})
    mean, deviation = found.x.tolist()
    return mean, abs(deviation)


def _bound(divergence: Divergence, critic: Critic, p: Density, q: Density) -> float:
    assert isinstance(divergence, FDivergence)
    return densities.bound(divergence, partial(sampling.scores, critic), p, q)


def _learned(generator: Generator, under: GameJob, steps: int) -> float:
    """The divergence of a generator as a critic finds it that is trained against it from new weights."""
    state = under.state
    torch.manual_seed(stream(under.seed, "fresh critic"))
    critic = copy.deepcopy(state.critic)
    for module in critic.modules():
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    optimizer = type(state.critic_optimizer)(critic.parameters(), **state.critic_optimizer.defaults)
    fresh = replace(state, generator=generator, critic=critic, critic_optimizer=optimizer, step=0)
    divergence = replace(under.divergence, critic_steps=1)
    game = Game(generator, critic, divergence, generator_trained=False)
    scheduling = Scheduling(rates=Cosine(1.0, 0.0, None))
    seed, edition = under.seed, under.edition
    taken = train(fresh, game, under.batches, steps=steps, seed=seed, edition=edition, scheduling=scheduling)
    deque(taken, maxlen=0)
    return _bound(under.divergence, critic, _data(under), _density(generator))


def _figure(members: Mapping[str, GameJob], rows: Mapping[str, Row]) -> Figure:
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    x = torch.linspace(-5, 7, 600, dtype=torch.float64)[:, None]
    data = _data(next(iter(members.values())))
    axes.fill_between(x[:, 0], data.log_density(x).exp(), color="0.8", linewidth=0, label="data")
    for index, (name, row) in enumerate(rows.items()):
        for mean, deviation, style in (
            (row.best_mean, row.best_deviation, "--"),
            (row.mean, row.deviation, "-"),
        ):
            label = f"{name}: μ̂ {mean:.2f}, σ̂ {deviation:.2f}" if style == "-" else None
            density = Gaussian([mean], deviation).log_density(x).exp()
            axes.plot(x[:, 0], density, style, color=f"C{index}", linewidth=1.2, label=label)
    axes.set(xlabel="x", ylabel="density", title="Learned fits; dashed: the best there is under each divergence")
    axes.legend()
    return figure
