"""Goodfellow's Proposition 1: the best discriminator against a fixed generator is p/(p + q) (arXiv 1406.2661)."""

from collections.abc import Mapping
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan_cli import sampling
from gan_cli.datasets.base import Density
from gan_cli.divergences.fgan import Gan
from gan_cli.exact import densities
from gan_cli.jobs import GameJob
from gan_cli.show.pictures import png
from gan_cli.show.tables import aligned
from gan_cli.studies.base import Findings, Study

SAMPLES = 100_000


class OptimalDiscriminator(Study):
    """D = σ(v) of a critic that was trained alone, against p/(p + q), for densities on the line."""

    def check(self, members: Mapping[str, GameJob]) -> None:
        for name, member in members.items():
            if not isinstance(member.dataset, Density) or member.dataset.sample_shape != (1,):
                raise ValueError(f"{name} must have data on the line, such as dataset=mixture1d")
            if member.state.generator.density() is None:
                raise ValueError(f"{name} must have a generator of known density: model=gaussian")
            if not isinstance(member.divergence, Gan):
                raise ValueError(f"{name} must have divergence=gan: the theorem is of its discriminator")

    def conclude(self, members: Mapping[str, GameJob]) -> Findings:
        found = {name: _measure(member) for name, member in members.items()}
        rows: list[list[object]] = [["", "mean |D − p/(p+q)| under P + Q", "value of the game", "−log 4 + 2·JSD"]]
        rows += [[name, *numbers.values()] for name, numbers in found.items()]
        figure = _figure(members, {name: numbers["mean_absolute_error"] for name, numbers in found.items()})
        return Findings(aligned(rows), found, {"optimal_discriminator.png": png(figure)})


def _measure(member: GameJob) -> dict[str, float]:
    """How near the discriminator is to p/(p + q), and its game to the best, with integrals in the place of means."""
    data, model, critic = member.dataset, member.state.generator.density(), member.state.critic
    assert isinstance(data, Density)
    assert model is not None
    assert isinstance(member.divergence, Gan)
    value = densities.bound(member.divergence, partial(sampling.scores, critic), data, model)
    best = densities.between(member.divergence, data, model)
    return {"mean_absolute_error": _error(member), "value": value, "exact": best}


def _discriminator(member: GameJob, x: Tensor) -> Tensor:
    return sampling.scores(member.state.critic, x).sigmoid()


def _log_densities(member: GameJob, x: Tensor) -> tuple[Tensor, Tensor]:
    """log p and log q at points of shape `(n, 1)`, in float64."""
    data, model = member.dataset, member.state.generator.density()
    assert isinstance(data, Density)
    assert model is not None
    return data.log_density(x.double()), model.log_density(x.double())


def _error(member: GameJob) -> float:
    """The mean of |D − p/(p + q)| over as many fresh samples of P as of Q."""
    real, fake = member.subject.fresh_points(SAMPLES)
    x = torch.cat([real.samples, fake])
    log_p, log_q = _log_densities(member, x)
    return (_discriminator(member, x) - torch.sigmoid(log_p - log_q)).abs().mean().item()


def _figure(members: Mapping[str, GameJob], errors: Mapping[str, float]) -> Figure:
    figure = Figure(figsize=(7, 4 * len(members)), layout="constrained")
    panels = figure.subplots(len(members), squeeze=False)[:, 0]
    x = torch.linspace(-5, 8, 600)[:, None]
    for axes, (name, member) in zip(panels, members.items(), strict=True):
        log_p, log_q = _log_densities(member, x)
        axes.fill_between(x[:, 0], log_p.exp(), color="tab:orange", alpha=0.3, linewidth=0, label="p, data")
        axes.fill_between(x[:, 0], log_q.exp(), color="tab:blue", alpha=0.3, linewidth=0, label="q, generator")
        axes.plot(x[:, 0], torch.sigmoid(log_p - log_q), "k--", linewidth=1, label="p/(p + q)")
        axes.plot(x[:, 0], _discriminator(member, x), color="tab:red", label="D = σ(v), learned")
        axes.set(xlabel="x", ylim=(0, 1.02), title=f"{name}: mean |D − p/(p + q)| = {errors[name]:.4f}")
        axes.legend(loc="upper left")
    return figure
