"""The adversarial game as an iterator: it reads no file, prints nothing, and leaves reporting to its caller."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from gan_cli.data import Batches
from gan_cli.divergences.base import Divergence
from gan_cli.randomness import stream
from gan_cli.state import TrainState

Schedule = Callable[[float], float]
"""From the share of the run that is done, in [0, 1), to a factor on the learning rates."""

Terms = dict[str, Tensor]
"""Named scalars of one step, detached and still on the device."""


def constant(progress: float) -> float:
    """The learning rate stays as configured."""
    return 1.0


def linear(progress: float) -> float:
    """The learning rate falls to 0 on a straight line."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """The learning rate falls to 0 on half a cosine."""
    return (1 + math.cos(math.pi * progress)) / 2


def train(
    state: TrainState,
    divergence: Divergence,
    batches: Batches,
    *,
    steps: int,
    seed: int,
    schedule: Schedule = constant,
    average_decay: float = 0.999,
    train_generator: bool = True,
) -> Iterator[Terms]:
    """Take `state` to `steps` steps, and give the terms of each as soon as it is taken.

    A step is one generator update after `divergence.critic_steps` critic updates. Its random numbers are a
    function of `seed` and its index alone: torch's global stream is seeded anew at the start of each.
    """
    generator_rates = _learning_rates(state.generator_optimizer)
    critic_rates = _learning_rates(state.critic_optimizer)
    state.generator.train()
    state.critic.train()
    while state.step < steps:
        torch.manual_seed(stream(seed, "step", state.step))
        factor = schedule(state.step / steps)
        _set_learning_rates(state.generator_optimizer, generator_rates, factor)
        _set_learning_rates(state.critic_optimizer, critic_rates, factor)

        first = state.step * divergence.critic_steps
        for index in range(first, first + divergence.critic_steps):
            real = batches(index)
            terms = critic_step(state, divergence, real)

        if train_generator:
            terms |= generator_step(state, divergence, real)
            update_average(state, min(average_decay, (1 + state.step) / (10 + state.step)))

        state.step += 1
        yield terms


def critic_step(state: TrainState, divergence: Divergence, real: Tensor) -> Terms:
    """One ascent of the critic on the estimate, less the penalty, against the generator as it stands."""
    with torch.no_grad():
        fake = state.generator(state.generator.sample_latent(len(real)))
    estimate = divergence.estimate(state.critic(real), state.critic(fake))
    penalty = divergence.penalty(state.critic, real, fake)
    loss = penalty - estimate
    norm = _descend(loss, state.critic_optimizer)
    divergence.constrain(state.critic)
    return {
        "estimate": estimate.detach(),
        "penalty": penalty.detach(),
        "critic_loss": loss.detach(),
        "critic_gradient_norm": norm,
    }


def generator_step(state: TrainState, divergence: Divergence, real: Tensor) -> Terms:
    """One descent of the generator; the critic's parameters take no gradient and stay as they are."""
    fake_scores = state.critic(state.generator(state.generator.sample_latent(len(real))))
    real_scores = None
    if divergence.pairs_samples:
        with torch.no_grad():
            real_scores = state.critic(real)
    loss = divergence.generator_objective(fake_scores, real_scores)
    norm = _descend(loss, state.generator_optimizer)
    return {"generator_loss": loss.detach(), "generator_gradient_norm": norm}


@torch.no_grad()
def update_average(state: TrainState, decay: float) -> None:
    """Move the averaged generator by 1 − `decay` towards the generator.

    Parameters and the statistics of batch norms are averaged; other buffers, such as the singular vectors of spectral
    norms, would lose their meaning and are copied.
    """
    average, current = state.average.state_dict(), state.generator.state_dict()
    parameters = {name for name, _ in state.average.named_parameters()}
    averaged = [name for name in average if name in parameters or name.endswith(("running_mean", "running_var"))]
    torch._foreach_lerp_([average[name] for name in averaged], [current[name] for name in averaged], 1 - decay)
    for name in average.keys() - set(averaged):
        average[name].copy_(current[name])


def _descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """One update of the optimizer's own parameters and no others; returns the norm of their gradient."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    optimizer.step()
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def _learning_rates(optimizer: Optimizer) -> list[float]:
    """The configured rate of each parameter group, which loading a checkpoint does not change."""
    return [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]


def _set_learning_rates(optimizer: Optimizer, rates: list[float], factor: float) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate * factor
