"""The adversarial game as an iterator: it reads no file, prints nothing, and leaves reporting to its caller."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer

from gan_cli.divergences.base import Divergence
from gan_cli.models.base import Critic, Generator
from gan_cli.randomness import stream
from gan_cli.training.batches import Batches
from gan_cli.training.state import TrainState

Schedule = Callable[[float], float]
"""From the share of the run that is done, in [0, 1), to a factor on the learning rates."""

Terms = dict[str, Tensor]
"""Named scalars of one step, detached and still on the device."""

Iteration = Callable[[Tensor, Tensor], Terms]
"""One step on real batches of shape `(critic_steps, batch, *sample_shape)`, which moves the averaged generator by a
weight, a scalar on the device, towards the generator."""


def constant(progress: float) -> float:
    """The learning rate stays as configured."""
    return 1.0


def linear(progress: float) -> float:
    """The learning rate falls to 0 on a straight line."""
    return 1.0 - progress


def cosine(progress: float) -> float:
    """The learning rate falls to 0 on half a cosine."""
    return (1 + math.cos(math.pi * progress)) / 2


@dataclass
class Game:
    """What the players minimise, as functions of samples: the part of a step without side effects.

    With `bf16` the networks compute in bfloat16; samples and scores are in float32 or wider all the same. With
    `reuse_samples` the generator learns from the samples that the critic's last step judged, as DCGAN implementations
    have it, in place of fresh ones (Goodfellow et al. 2014, Algorithm 1).
    """

    generator: Generator
    critic: Critic
    divergence: Divergence
    generator_learns: bool = True
    reuse_samples: bool = False
    bf16: bool = False

    def fake(self, latent: Tensor) -> Tensor:
        """Samples, which the generator's gradient passes through where gradients are on."""
        with torch.autocast(latent.device.type, torch.bfloat16, enabled=self.bf16):
            return _widened(self.generator(latent))

    def critic_loss(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The critic's loss, penalty less estimate, and these two terms of it."""
        with torch.autocast(real.device.type, torch.bfloat16, enabled=self.bf16):
            real_scores, fake_scores, penalty = self.divergence.penalty.with_scores(self.critic, real, fake)
        estimate = self.divergence.estimate(_widened(real_scores), _widened(fake_scores))
        return penalty - estimate, penalty.detach(), estimate.detach()

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The generator's loss against the critic as it stands."""
        real_scores = None
        with torch.autocast(real.device.type, torch.bfloat16, enabled=self.bf16):
            fake_scores = _widened(self.critic(fake))
            if self.divergence.pairs_samples:
                with torch.no_grad():
                    real_scores = _widened(self.critic(real))
        return self.divergence.generator_objective(fake_scores, real_scores)


def eager(state: TrainState, game: Game) -> Iteration:
    """The iteration as it stands, one operation after another."""
    return partial(iteration, state, game)


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
    reuse_samples: bool = False,
    bf16: bool = False,
    accelerate: Callable[[TrainState, Game], Iteration] = eager,
) -> Iterator[Terms]:
    """Take `state` to `steps` steps, and give the terms of each as soon as it is taken.

    A step is one generator update after `divergence.critic_steps` critic updates. Its random numbers are a
    function of `seed` and its index alone: torch's global stream is seeded anew at the start of each.
    """
    players = (state.generator_optimizer, state.critic_optimizer)
    rates = [_learning_rates(optimizer) for optimizer in players]
    state.generator.train()
    state.critic.train()
    game = Game(state.generator, state.critic, divergence, train_generator, reuse_samples, bf16)
    iterate = accelerate(state, game)
    average_weight = torch.zeros((), device=next(state.critic.parameters()).device)
    while state.step < steps:
        torch.manual_seed(stream(seed, "step", state.step))
        for optimizer, configured in zip(players, rates, strict=True):
            _set_learning_rates(optimizer, configured, schedule(state.step / steps))
        average_weight.fill_(1 - min(average_decay, (1 + state.step) / (10 + state.step)))
        real = batches(state.step * divergence.critic_steps, divergence.critic_steps)
        terms = iterate(real, average_weight)
        state.step += 1
        yield terms


def iteration(state: TrainState, game: Game, real: Tensor, average_weight: Tensor) -> Terms:
    """All updates of one step; nothing in it waits for the device."""
    reuse = game.reuse_samples and game.generator_learns
    for index, batch in enumerate(real, start=1):
        with torch.set_grad_enabled(reuse and index == len(real)):
            fake = draw(game, len(batch))
        terms = critic_step(state, game, batch, fake)
    if game.generator_learns:
        if not reuse:
            fake = draw(game, len(batch))
        terms |= generator_step(state, game, batch, fake)
        update_average(state, average_weight)
    return terms


def draw(game: Game, n: int) -> Tensor:
    """Fresh samples of the generator as it stands, shape `(n, *sample_shape)`."""
    return game.fake(game.generator.sample_latent(n))


def critic_step(state: TrainState, game: Game, real: Tensor, fake: Tensor) -> Terms:
    """One ascent of the critic on the estimate, less the penalty; no gradient reaches the generator."""
    loss, penalty, estimate = game.critic_loss(real, fake.detach())
    norm = _descend(loss, state.critic_optimizer)
    game.divergence.constrain(state.critic)
    return {"estimate": estimate, "penalty": penalty, "critic_loss": loss.detach(), "critic_gradient_norm": norm}


def generator_step(state: TrainState, game: Game, real: Tensor, fake: Tensor) -> Terms:
    """One descent of the generator through its samples; the critic takes no gradient and stays as it is."""
    loss = game.generator_loss(real, fake)
    norm = _descend(loss, state.generator_optimizer)
    return {"generator_loss": loss.detach(), "generator_gradient_norm": norm}


@torch.no_grad()
def update_average(state: TrainState, weight: Tensor) -> None:
    """Move the averaged generator by `weight`, a scalar, towards the generator.

    Parameters and the statistics of batch norms are averaged; other buffers, such as the singular vectors of spectral
    norms, would lose their meaning and are copied.
    """
    average, current = state.average.state_dict(), state.generator.state_dict()
    parameters = {name for name, _ in state.average.named_parameters()}
    averaged = [name for name in average if name in parameters or name.endswith(("running_mean", "running_var"))]
    difference = torch._foreach_sub([current[name] for name in averaged], [average[name] for name in averaged])
    torch._foreach_mul_(difference, weight)
    torch._foreach_add_([average[name] for name in averaged], difference)
    for name in average.keys() - set(averaged):
        average[name].copy_(current[name])


def _widened(values: Tensor) -> Tensor:
    """The values in float32 where they have half of its width."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _descend(loss: Tensor, optimizer: Optimizer) -> Tensor:
    """One update of the optimizer's own parameters and no others; returns the norm of their gradient."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    optimizer.step()
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


def _learning_rates(optimizer: Optimizer) -> list[float]:
    """The configured rate of each parameter group, which loading a checkpoint does not change.

    What a captured step left in the checkpoint, rates on its device, is undone.
    """
    for group in optimizer.param_groups:
        configured = group.setdefault("initial_lr", group["lr"])
        if isinstance(group["lr"], Tensor):
            group["lr"] = configured
            if "capturable" in group:
                group["capturable"] = False
    return [group["initial_lr"] for group in optimizer.param_groups]


def _set_learning_rates(optimizer: Optimizer, rates: list[float], factor: float) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(group["lr"], Tensor):  # a captured step reads it where it lies
            group["lr"].fill_(rate * factor)
        else:
            group["lr"] = rate * factor
