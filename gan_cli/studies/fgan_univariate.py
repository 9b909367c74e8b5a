"""f-GAN's univariate experiment: a Gaussian fitted under several divergences (arXiv 1606.00709, Table 3)."""

import copy
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gan_cli import sampling
from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Gaussian, Mixture1d
from gan_cli.divergences.base import Divergence
from gan_cli.divergences.f_divergence import FDivergence
from gan_cli.exact import densities
from gan_cli.exact.best_fit import Fit, best_gaussians
from gan_cli.jobs import GameJob
from gan_cli.models.base import Critic, Generator
from gan_cli.models.toys import GaussianGenerator
from gan_cli.randomness import stream
from gan_cli.ranges import Count
from gan_cli.schedules import Cosine
from gan_cli.show.pictures import heat_map, png
from gan_cli.show.tables import aligned
from gan_cli.studies import univariate
from gan_cli.studies.base import Findings, Study
from gan_cli.training.loop import Game, train
from gan_cli.training.scheduling import Scheduling

PAPERS = torch.tensor([[-1.0, 2.0], [0.255, 1.4142], [0.33, 0.67]], dtype=torch.float64)
"""Means, deviations and weights of the mixture that stands for the paper's data: the defaults of the data set."""

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
        univariate.check(members)
        for name, member in members.items():
            if not isinstance(member.divergence, FDivergence):
                raise ValueError(f"{name} must have an f-divergence")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        optima = {name: _optima(member) for name, member in members.items()}
        rows = {name: _row(member, optima[name]) for name, member in members.items()}
        published = {name: row for name, row in self.published.items() if name in rows and _is_papers(members[name])}
        fits = {name: member.state.average for name, member in members.items()}
        exact_matrix: Matrix = {name: {} for name in fits}
        learned: Matrix = {name: {} for name in fits}
        for under, member in members.items():
            for name, fit in fits.items():
                exact_matrix[name][under] = densities.between(member.divergence, _data(member), _density(fit))
                learned[name][under] = _learned(fit, member, self.critic_steps)
        numbers = {
            "table": {name: vars(row) for name, row in rows.items()},
            "optima": {name: [vars(fit) for fit in fits] for name, fits in optima.items()},
            "published": published,
            "exact_matrix": exact_matrix,
            "learned_matrix": learned,
        }
        figures = {
            "fgan_univariate.png": png(_figure(members, rows, optima)),
            "fgan_matrix.png": heat_map(
                {"exact, by quadrature": exact_matrix, "learned, by fresh critics": learned},
                rows="trained under",
                columns="measured under",
            ),
        }
        tables = [
            _table(rows, optima, published),
            _cross_table("exact", exact_matrix),
            _cross_table("learned", learned),
        ]
        return Findings("\n\n".join(tables), numbers, figures)


def _table(
    rows: Mapping[str, Row], optima: Mapping[str, Sequence[Fit]], published: Mapping[str, Sequence[float]]
) -> str:
    lines: list[list[object]] = [["", "D_f", "F", "μ*", "μ̂", "σ*", "σ̂"]]
    for name, row in rows.items():
        lines += [[name, *vars(row).values()]]
        for fit in optima[name]:
            if fit.mean != row.best_mean:
                lines += [["  also optimal", fit.value, "", fit.mean, "", fit.deviation, ""]]
        if name in published:
            lines += [["  published", *published[name]]]
    return aligned(lines)


def _cross_table(title: str, matrix: Matrix) -> str:
    return aligned([[f"{title}: trained / under", *matrix], *([i, *row.values()] for i, row in matrix.items())])


def _data(member: GameJob) -> Density:
    assert isinstance(member.dataset, Density)
    return member.dataset


def _is_papers(member: GameJob) -> bool:
    data = member.dataset
    if not isinstance(data, Mixture1d) or len(data.means) != PAPERS.shape[1]:
        return False
    return torch.allclose(torch.stack([data.means[:, 0], data.deviations, data.weights]), PAPERS, rtol=0, atol=1e-3)


def _density(generator: Generator) -> Density:
    density = generator.density()
    assert density is not None
    return density


def _optima(member: GameJob) -> list[Fit]:
    data = _data(member)
    return best_gaussians(lambda gaussian: densities.between(member.divergence, data, gaussian), data)


def _row(member: GameJob, optima: Sequence[Fit]) -> Row:
    """What was learned, beside the nearest optimum."""
    generator = member.state.average
    assert isinstance(generator, GaussianGenerator)
    mean, deviation = generator.mean.item(), abs(generator.deviation.item())
    best = min(optima, key=lambda fit: math.hypot(fit.mean - mean, fit.deviation - deviation))
    return Row(
        exact=best.value,
        bound=_bound(member.divergence, member.state.critic, _data(member), _density(generator)),
        best_mean=best.mean,
        mean=mean,
        best_deviation=best.deviation,
        deviation=deviation,
    )


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


def _figure(members: Mapping[str, GameJob], rows: Mapping[str, Row], optima: Mapping[str, Sequence[Fit]]) -> Figure:
    data = _data(next(iter(members.values())))
    learned = {name: Gaussian([row.mean], row.deviation) for name, row in rows.items()}
    best = {name: [Gaussian([fit.mean], fit.deviation) for fit in fits] for name, fits in optima.items()}
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    x = _visible([data, *learned.values(), *(gaussian for fits in best.values() for gaussian in fits)])
    axes.fill_between(x[:, 0], data.log_density(x).exp(), color="0.8", linewidth=0, label="data")
    for index, (name, row) in enumerate(rows.items()):
        for gaussian in best[name]:
            axes.plot(x[:, 0], gaussian.log_density(x).exp(), "--", color=f"C{index}", linewidth=1.2)
        label = f"{name}: μ̂ {row.mean:.2f}, σ̂ {row.deviation:.2f}"
        axes.plot(x[:, 0], learned[name].log_density(x).exp(), "-", color=f"C{index}", linewidth=1.2, label=label)
    axes.set(xlabel="x", ylabel="density", title="Learned fits; dashed: the best there is under each divergence")
    axes.legend()
    return figure


def _visible(shown: Sequence[Density]) -> Tensor:
    """Points of shape `(n, 1)` over that part of the line where a density is above a thousandth of its peak."""
    boxes = [density.box() for density in shown]
    low, high = min(box[0].item() for box in boxes), max(box[1].item() for box in boxes)
    x = torch.linspace(low, high, 20_000, dtype=torch.float64)[:, None]
    log_densities = torch.stack([density.log_density(x) for density in shown])
    seen = x[(log_densities > log_densities.amax(1, keepdim=True) + math.log(1e-3)).any(0)]
    return torch.linspace(seen.min().item(), seen.max().item(), 2_000, dtype=torch.float64)[:, None]
