"""What weight clipping does to a critic, beside a gradient penalty: WGAN-GP's Figure 1 (arXiv 1704.00028 §3 and §5.3).

Critics learn alone, against the data plus noise. The deepest of them show how gradients change from layer to layer, the
others what functions they become.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from gan_cli import sampling
from gan_cli.datasets.base import Density
from gan_cli.datasets.mixtures import Mixture
from gan_cli.divergences.penalties import between, gradient_norm
from gan_cli.divergences.wasserstein import WeightClippedWasserstein
from gan_cli.jobs import GameJob
from gan_cli.models.base import Critic
from gan_cli.randomness import stream
from gan_cli.show.pictures import png
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study

SAMPLES = 2000

AT_THE_BOUND = 0.99
"""The share of the clip from which a weight counts as pushed against it."""

DIRECTIONS = 64


@dataclass(frozen=True)
class Critique:
    """What is said of one critic; layers are linear ones, from that next to the sample to the score."""

    clip: float | None
    share_at_the_bounds: float | None
    """The share of weights and biases beyond 0.99 clip."""
    mean_slope: float
    """The mean gradient norm of the critic on lines from real to fake samples."""
    peaks: int | None
    """Modes of the data that are hills of the critic, where the data have modes."""
    modes: int | None
    ranked: float
    """The share of pairs whose real sample scores above the fake one; ½ for a critic that sees nothing."""
    ranked_at_best: float | None
    """The same of the best critic there is, p/q."""
    gradient_norms: list[float]
    """E‖∂v/∂h‖ for the output h of each layer."""
    growth: float
    """The factor of these norms from a layer to the one before it."""


class WeightClipping(Study):
    """Critics under weight clipping and under gradient penalties, on data in the plane."""

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, Density) or member.dataset.sample_shape != (2,):
                raise ValueError(f"{name} must have data in the plane, such as dataset=ring")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        found = {name: _measure(member) for name, member in members.items()}
        rows: list[list[object]] = [["", "at the bounds", "mean slope", "peaks", "ranked", "at best", "growth a layer"]]
        rows += [[name, *_cells(measured)] for name, measured in found.items()]
        depth = max((len(measured.gradient_norms) for measured in found.values()), default=0)
        deep = {name: measured for name, measured in found.items() if len(measured.gradient_norms) == depth}
        shallow = [name for name in members if name not in deep] or list(members)
        by_data: dict[str, list[str]] = {}
        for name in shallow:
            by_data.setdefault(type(members[name].dataset).__name__, []).append(name)
        return Findings(
            aligned(rows, digits=3),
            {name: asdict(measured) for name, measured in found.items()},
            {
                "weight_clipping.png": png(_surfaces(members, by_data, found)),
                "weight_clipping_layers.png": png(_weights_and_layers(members, next(iter(by_data.values())), deep)),
            },
        )


def _cells(measured: Critique) -> list[object]:
    share, best = measured.share_at_the_bounds, measured.ranked_at_best
    return [
        "–" if share is None else share,
        f"{measured.mean_slope:.2g}",
        "–" if measured.modes is None else f"{measured.peaks}/{measured.modes}",
        measured.ranked,
        "–" if best is None else best,
        measured.growth,
    ]


def _measure(member: GameJob) -> Critique:
    dataset, generator = member.dataset, member.state.generator
    assert isinstance(dataset, Density)
    drawn, fake = member.subject.fresh_points(SAMPLES)
    real, fake = drawn.samples.double(), fake.double()
    # In float32 the gradients of a deep clipped critic underflow.
    critic = copy.deepcopy(member.state.critic).double().eval()
    clip = member.divergence.clip if isinstance(member.divergence, WeightClippedWasserstein) else None
    norms = gradient_norms(critic, torch.cat([real, fake]))
    mixture = dataset if isinstance(dataset, Mixture) else None
    torch.manual_seed(stream(member.seed, "weight clipping"))
    with torch.no_grad():
        scores = critic(real), critic(fake)
    return Critique(
        clip=clip,
        share_at_the_bounds=None if clip is None else share_at_the_bounds(critic, clip),
        mean_slope=gradient_norm(critic, between(real, fake)).mean().item(),
        peaks=None if mixture is None else peaks(critic, mixture),
        modes=None if mixture is None else len(mixture.means),
        ranked=ranked(*scores),
        ranked_at_best=_ranked_at_best(dataset, generator.density(), real, fake),
        gradient_norms=norms,
        growth=growth(norms),
    )


def share_at_the_bounds(critic: nn.Module, clip: float) -> float:
    """The share of the critic's parameters that clipping holds back."""
    return (weights(critic).abs() > AT_THE_BOUND * clip).double().mean().item()


def weights(critic: nn.Module) -> Tensor:
    """All parameters in one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in critic.parameters()])


def gradient_norms(critic: nn.Module, x: Tensor) -> list[float]:
    """E‖∂v/∂h‖ for the output h of each linear layer, in the order of the layers."""
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _layer, _inputs, output: outputs.append(output))
        for layer in critic.modules()
        if isinstance(layer, nn.Linear)
    ]
    score = critic(x)
    for hook in hooks:
        hook.remove()
    return [gradient.norm(dim=1).mean().item() for gradient in torch.autograd.grad(score.sum(), outputs)]


def growth(norms: list[float]) -> float:
    """The mean factor from each norm to the one before it, from the last to the first."""
    return math.pow(norms[0] / norms[-1], 1 / max(1, len(norms) - 1))


@torch.no_grad()
def peaks(critic: nn.Module, mixture: Mixture) -> int:
    """The modes whose centre scores above all of a circle about it, a quarter of the way to the next mode."""
    means = mixture.means.to(next(critic.parameters()))
    distances = torch.cdist(means, means).fill_diagonal_(math.inf)
    angles = torch.arange(DIRECTIONS).to(means) * (2 * math.pi / DIRECTIONS)
    circle = distances.min() / 4 * torch.stack([angles.cos(), angles.sin()], dim=1)
    around = critic((means[:, None] + circle).flatten(0, 1)).unflatten(0, (len(means), DIRECTIONS))
    return int((critic(means) > around.amax(1)).sum().item())


def ranked(real: Tensor, fake: Tensor) -> float:
    """The share of pairs in which the real score is above the fake one; equal ones count half."""
    difference = real[:, None] - fake
    return ((difference.sign() + 1) / 2).mean().item()


def _ranked_at_best(p: Density, q: Density | None, real: Tensor, fake: Tensor) -> float | None:
    """The share for the score p/q, which no other surpasses (Neyman and Pearson)."""
    if q is None:
        return None
    return ranked(*(p.log_density(x.cpu()) - q.log_density(x.cpu()) for x in (real, fake)))


def _surfaces(
    members: Mapping[str, GameJob], rows: Mapping[str, Sequence[str]], found: Mapping[str, Critique]
) -> Figure:
    """Level lines, a row for the members with each data set."""
    columns = max(map(len, rows.values()), default=1)
    figure = Figure(figsize=(3.6 * columns, 3.9 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for line, names in zip(panels, rows.values(), strict=True):
        for axes in line[len(names) :]:
            axes.set_axis_off()
        for axes, name in zip(line, names, strict=False):
            _draw_surface(axes, members[name])
            axes.set_title(f"{_short(name)}\n{_caption(found[name])}", fontsize=9)
    return figure


def _caption(measured: Critique) -> str:
    modes = "" if measured.modes is None else f"{measured.peaks} of {measured.modes} modes are peaks, "
    return f"{modes}{measured.ranked:.0%} of pairs ranked"


def _draw_surface(axes: Axes, member: GameJob) -> None:
    assert isinstance(member.dataset, Density)
    real = sampling.real_points(member.dataset, SAMPLES, member.seed, "cpu").samples
    reach = 1.35 * real.abs().max().item()
    side = torch.linspace(-reach, reach, 150)
    critic = copy.deepcopy(member.state.critic).cpu()
    with sampling.evaluating(critic):
        scores = critic(torch.cartesian_prod(side, side)).reshape(150, 150).T
    axes.contourf(side, side, scores, levels=24, cmap="viridis", alpha=0.85)
    axes.contour(side, side, scores, levels=24, colors="white", linewidths=0.5, linestyles="solid")
    axes.scatter(real[:, 0], real[:, 1], s=3, color="tab:orange", linewidths=0)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")


def _weights_and_layers(members: Mapping[str, GameJob], shown: Sequence[str], deep: Mapping[str, Critique]) -> Figure:
    """Histograms of the weights of some critics, and the gradients of the deepest ones."""
    figure = Figure(figsize=(11, max(4.5, 1.7 * len(shown))), layout="constrained")
    grid = figure.add_gridspec(len(shown), 2, width_ratios=[1, 1.2])
    panels = [figure.add_subplot(grid[row, 0]) for row in range(len(shown))]
    for axes, name in zip(panels, shown, strict=True):
        _draw_histogram(axes, name, members[name].state.critic)
    panels[-1].set_xlabel("weight")
    axes = figure.add_subplot(grid[:, 1])
    for name, measured in deep.items():
        layers = range(1, len(measured.gradient_norms) + 1)
        axes.plot(layers, measured.gradient_norms, "o-", label=f"{_short(name)}: × {measured.growth:.2g} a layer")
    axes.set(xlabel="layer, from the sample to the score", ylabel="E‖∂ score/∂ layer's output‖", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def _draw_histogram(axes: Axes, name: str, critic: Critic) -> None:
    values = weights(critic).cpu()
    reach = torch.quantile(values.abs(), 0.995).item() * 1.1
    axes.hist(values.tolist(), bins=101, range=(-reach, reach), color="tab:blue")
    axes.set_yscale("log")
    axes.set_ylabel("weights")
    axes.set_title(_short(name), fontsize=9)


def _short(name: str) -> str:
    """The name of a member without the group of what it varies."""
    return name.replace(",divergence.", ", ")
