"""The adversarial game as an iterator: it reads no file, prints nothing, and leaves reporting to its caller."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from gan_cli.augmentations.adaptive import real_sign
from gan_cli.augmentations.base import Augmentation, NoAugmentation
from gan_cli.datasets.base import Batch
from gan_cli.divergences.base import Divergence
from gan_cli.editions import NEWEST
from gan_cli.models.base import Critic, Generator, Scoring
from gan_cli.randomness import begin, torchs_own
from gan_cli.ranks import everyones, place, sharing_a_batch, sum_up
from gan_cli.schedules import Progress, Schedule, schedules_in
from gan_cli.training.batches import Batches
from gan_cli.training.scheduling import OptimizerNumbers, Scheduling
from gan_cli.training.state import TrainState

Terms = dict[str, Tensor]
"""Named scalars of one step, detached and still on the device."""


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
    augmentation: Augmentation = field(default_factory=NoAugmentation)
    generator_trained: bool = True
    reuse_samples: bool = False
    bf16: bool = False

    @cached_property
    def schedules(self) -> list[Schedule]:
        """The numbers of the divergence, its penalty and the augmentation that change over the run."""
        return [*schedules_in(self.divergence), *schedules_in(self.augmentation)]

    def scoring(self, labels: Tensor | None) -> Scoring:
        """The critic once it is given the labels of a batch."""
        return Scoring(self.critic, labels, self.augmentation)

    def fake(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples, which the generator's gradient passes through where gradients are on."""
        with torch.autocast(latent.device.type, torch.bfloat16, enabled=self.bf16):
            return widened(self.generator.draw(latent, labels))

    def critic_loss(self, real: Batch, fake: Tensor) -> tuple[Tensor, Terms]:
        """The critic's loss, penalty less estimate, and what its scores tell: these two, and what leads a probability.

        On several ranks the penalty is this rank's part of the mean, and the estimate that of the whole batch. It
        changes nothing, as compiled functions should not.
        """
        with torch.autocast(fake.device.type, torch.bfloat16, enabled=self.bf16):
            critic = self.scoring(real.labels)
            real_scores, fake_scores, penalty = self.divergence.penalty.with_scores(
                critic, critic.packs(real.samples), critic.packs(fake)
            )
        real_scores, fake_scores = everyones(widened(real_scores), widened(fake_scores))
        estimate = self.divergence.estimate(real_scores, fake_scores)
        penalty = penalty / place().size
        terms = {"estimate": estimate.detach(), "penalty": penalty.detach()}
        if self.augmentation.adaptive is not None:
            terms["real_sign"] = real_sign(real_scores, fake_scores)
        return penalty - estimate, terms

    def generator_loss(self, real: Batch, fake: Tensor) -> Tensor:
        """The generator's loss against the critic as it stands, that of the whole batch."""
        real_scores = None
        with torch.autocast(fake.device.type, torch.bfloat16, enabled=self.bf16):
            critic = self.scoring(real.labels)
            fake_scores = widened(critic(critic.packs(fake)))
            if self.divergence.pairs_samples:
                with torch.no_grad():
                    real_scores = widened(critic(critic.packs(real.samples)))
        if real_scores is None:
            (fake_scores,) = everyones(fake_scores)
        else:
            fake_scores, real_scores = everyones(fake_scores, real_scores)
        return self.divergence.generator_objective(fake_scores, real_scores)


class Iteration(Protocol):
    """One step on real batches, `critic_steps` of them in one, however it is executed."""

    @property
    def mode(self) -> str:
        """How it is executed by now: `eager`, `compile` or `graph`."""
        ...

    def __call__(self, real: Batch, average_weight: Tensor) -> Terms:
        """Take the step; `average_weight`, a scalar on the device, moves the averaged generator to the generator."""
        ...


@dataclass(frozen=True)
class EagerIteration:
    """The iteration as it stands, one operation after another."""

    state: TrainState
    game: Game
    mode: str = "eager"

    def __call__(self, real: Batch, average_weight: Tensor) -> Terms:
        return iteration(self.state, self.game, real, average_weight)


def train(
    state: TrainState,
    game: Game,
    batches: Batches,
    *,
    steps: int,
    seed: int,
    edition: int = NEWEST,
    scheduling: Scheduling | None = None,
    iterate: Iteration | None = None,
) -> Iterator[Terms]:
    """Take `state` to `steps` steps of the game, and give the terms of each as soon as it is taken.

    A step is one generator update after `divergence.critic_steps` critic updates, executed by `iterate`: one operation
    after another unless given. Its random numbers are a function of `seed` and its index alone: torch's global streams
    begin anew with each, as the run's `edition` has it.
    """
    scheduling = scheduling or Scheduling()
    iterate = iterate or EagerIteration(state, game)
    numbers = [
        OptimizerNumbers(state.generator_optimizer, scheduling.generator, scheduling.rates),
        OptimizerNumbers(state.critic_optimizer, scheduling.critic, scheduling.rates),
    ]
    # A frozen generator is one distribution, that of metrics and pictures, whatever the batch.
    state.generator.train(game.generator_trained or edition == 1)
    state.critic.train()
    critic_steps = game.divergence.critic_steps
    device = next(state.critic.parameters()).device
    average_weight = torch.zeros((), device=device)
    while state.step < steps:
        for generator in torchs_own(device):
            begin(generator, seed, "step", state.step, edition=edition)
        real = batches(state.step * critic_steps, critic_steps)

        # Write what changes over the run.
        images_per_step = critic_steps * real.samples.shape[1] * place().size
        progress = Progress(state.step, steps, images_per_step=images_per_step)
        for of_optimizer in numbers:
            of_optimizer.write(progress)
        for schedule in game.schedules:
            schedule.write(progress)
        average_weight.fill_(1 - scheduling.decay(progress))

        with sharing_a_batch():
            terms = iterate(real, average_weight)
        state.step += 1
        yield terms


def iteration(state: TrainState, game: Game, real: Batch, average_weight: Tensor) -> Terms:
    """All updates of one step; nothing in it waits for the device."""
    reuse = game.reuse_samples and game.generator_trained
    batches = real.unbind()
    for index, batch in enumerate(batches, start=1):
        with torch.set_grad_enabled(reuse and index == len(batches)):
            fake = draw(game, batch)
        terms = critic_step(state, game, batch, fake)
    if game.generator_trained:
        if not reuse:
            fake = draw(game, batch)
        terms |= generator_step(state, game, batch, fake)
        update_average(state, average_weight)
    return terms


def draw(game: Game, real: Batch) -> Tensor:
    """Fresh samples of the generator as it stands, one for each real sample and with its label."""
    return game.fake(game.generator.sample_latent(len(real.samples)), real.labels)


def critic_step(state: TrainState, game: Game, real: Batch, fake: Tensor) -> Terms:
    """One ascent of the critic on the estimate, less the penalty; no gradient reaches the generator."""
    loss, terms = game.critic_loss(real, fake.detach())
    norm = descend(loss, state.critic_optimizer, terms["penalty"])
    game.divergence.constrain(state.critic)
    terms |= {"critic_loss": terms["penalty"] - terms["estimate"], "critic_gradient_norm": norm}
    if (adaptive := game.augmentation.adaptive) is not None:
        images = len(real.samples) * place().size
        terms["augmentation_probability"] = adaptive.follow(terms["real_sign"], images)
    return terms


def generator_step(state: TrainState, game: Game, real: Batch, fake: Tensor) -> Terms:
    """One descent of the generator through its samples; the critic takes no gradient and stays as it is."""
    loss = game.generator_loss(real, fake)
    norm = descend(loss, state.generator_optimizer)
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


def widened(values: Tensor) -> Tensor:
    """The values in float32 where they have half of its width."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def descend(loss: Tensor, optimizer: Optimizer, *parts: Tensor) -> Tensor:
    """One update of the optimizer's own parameters and no others; returns the norm of their gradient.

    The gradient is the sum over ranks; `parts` of numbers, of which each rank has its own, become their sums with it.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    optimizer.zero_grad()
    loss.backward(inputs=parameters)
    gradients = [p.grad for p in parameters if p.grad is not None]
    sum_up([*gradients, *parts])
    optimizer.step()
    return torch.nn.utils.get_total_norm(gradients)
