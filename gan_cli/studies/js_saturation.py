"""WGAN's Example 1: between parallel lines JS is constant and teaches nothing, while W₁ is their distance.

Arjovsky, Chintala, Bottou 2017, arXiv 1701.07875 §2; of the non-saturating gradient Arjovsky & Bottou 2017, 1701.04862.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.mixtures import ParallelLines
from gan_cli.divergences.fgan import Gan, JensenShannon, KullbackLeibler, ReverseKullbackLeibler
from gan_cli.divergences.wasserstein import Wasserstein
from gan_cli.errors import DivergedError
from gan_cli.exact import densities
from gan_cli.jobs import GameJob
from gan_cli.metrics.exact import held_out_estimate
from gan_cli.models.toys import LineGenerator
from gan_cli.show.pictures import png
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study

SAMPLES = 20_000
LOG_2 = math.log(2)


@dataclass(frozen=True)
class _At:
    """What the trained critics of one distance say; gradients are with respect to θ, signed towards the data."""

    theta: float
    jensen_shannon: float
    minimax_gradient: float
    non_saturating_gradient: float
    wasserstein: float
    wasserstein_gradient: float


class JensenShannonSaturation(Study):
    """Critics of `gan` and of a Wasserstein divergence, each trained alone against a line at distance θ."""

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, ParallelLines) or not isinstance(member.state.generator, LineGenerator):
                raise ValueError(f"{name} must have dataset=parallel_lines and model=line")
            if member.dataset.position != 0:
                raise ValueError(f"{name} must have dataset.position=0, from where the distances are counted")
            if _position(member) == 0:
                raise ValueError(f"{name} must have another model.generator.position than 0, where nothing is apart")
        for theta in {_position(member) for member in members.values()} - _pairs(members).keys():
            raise ValueError(f"members must be a gan and a Wasserstein divergence at each distance: not at {theta:g}")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        lines = [_line(theta, members[one], members[other]) for theta, (one, other) in sorted(_pairs(members).items())]
        if not lines:
            raise DivergedError("diverged: at no distance both critics are left")
        rows: list[list[object]] = [["θ", "JS/log 2", "W₁/|θ|", "∂minimax/∂θ", "∂non-saturating/∂θ", "∂W₁/∂θ"]]
        rows += [
            [
                f"{at.theta:g}",
                at.jensen_shannon / LOG_2,
                at.wasserstein / abs(at.theta),
                f"{at.minimax_gradient:.1e}",
                at.non_saturating_gradient,
                at.wasserstein_gradient,
            ]
            for at in lines
        ]
        numbers: dict[str, Any] = {name: [getattr(at, name) for at in lines] for name in _At.__annotations__}
        numbers |= {"exact": _exact(next(iter(members.values())))}
        return Findings(aligned(rows), numbers, {"js_saturation.png": png(_figure(lines))})


def _exact(member: GameJob) -> dict[str, float]:
    """The same for every distance but 0; of JS, f-GAN's form without the ½."""
    data, model = member.dataset, _generator(member).density()
    assert isinstance(data, ParallelLines)
    divergences = {
        "kl": KullbackLeibler(generator_loss="minimax"),
        "reverse_kl": ReverseKullbackLeibler(generator_loss="minimax"),
        "js": JensenShannon(generator_loss="minimax"),
    }
    return {name: densities.between(divergence, data, model) for name, divergence in divergences.items()}


def _position(member: GameJob) -> float:
    return _generator(member).position.item()


def _pairs(members: Mapping[str, GameJob]) -> dict[float, tuple[str, str]]:
    """The names of the original GAN and of the Wasserstein divergence at each distance that has both."""
    names: dict[type, dict[float, str]] = {Gan: {}, Wasserstein: {}}
    for name, member in members.items():
        for kind, at in names.items():
            if isinstance(member.divergence, kind):
                at[_position(member)] = name
    gan, wasserstein = names.values()
    return {theta: (gan[theta], wasserstein[theta]) for theta in gan.keys() & wasserstein.keys()}


def _generator(member: GameJob) -> LineGenerator:
    assert isinstance(member.state.generator, LineGenerator)
    assert isinstance(member.dataset, ParallelLines)
    return member.state.generator


def _line(theta: float, gan: GameJob, wasserstein: GameJob) -> _At:
    assert isinstance(gan.divergence, Gan)
    return _At(
        theta=theta,
        # The value of the original GAN's game is 2·JSD − log 4.
        jensen_shannon=_estimate(gan) / 2 + LOG_2,
        minimax_gradient=_gradient(gan, gan.divergence.minimax),
        non_saturating_gradient=_gradient(gan, gan.divergence.non_saturating),
        wasserstein=_estimate(wasserstein),
        wasserstein_gradient=_gradient(
            wasserstein, lambda fake: wasserstein.divergence.generator_objective(fake, None)
        ),
    )


def _estimate(member: GameJob) -> float:
    return held_out_estimate(member.subject, *member.subject.fresh_points(SAMPLES)).value


def _gradient(member: GameJob, objective: Callable[[Tensor], Tensor]) -> float:
    """∂objective/∂θ away from the data, so that descent of a positive one brings the lines together."""
    generator = _generator(member)
    latent = sampling.latents(generator, SAMPLES, member.seed)
    value = objective(member.state.critic(generator(latent)))
    (gradient,) = torch.autograd.grad(value, generator.position)
    return math.copysign(1, generator.position.item()) * gradient.item()


def _figure(lines: list[_At]) -> Figure:
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    values, gradients = figure.subplots(1, 2)
    theta = [at.theta for at in lines]
    values.plot([min(theta), 0, max(theta)], [abs(min(theta)), 0, max(theta)], "--", color="grey", linewidth=1)
    values.axhline(LOG_2, linestyle="--", color="grey", linewidth=1)
    values.plot(theta, [at.wasserstein for at in lines], "o", color="tab:blue", label="W₁, learned (dashed: |θ|)")
    values.plot(theta, [at.jensen_shannon for at in lines], "s", color="tab:red", label="JS, learned (dashed: log 2)")
    values.set(xlabel="θ, the distance of the lines", ylabel="divergence", title="KL and reverse KL are infinite")
    values.legend(loc="upper center")
    for name, style, label in (
        ("wasserstein_gradient", "o-", "W₁"),
        ("non_saturating_gradient", "^-", "non-saturating GAN"),
        ("minimax_gradient", "s-", "minimax GAN"),
    ):
        gradients.plot(theta, [abs(getattr(at, name)) for at in lines], style, label=label)
    gradients.set(xlabel="θ", yscale="log", title="What the generator learns from: |∂ objective/∂θ|")
    gradients.legend()
    return figure
