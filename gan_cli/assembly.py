"""A run, composed: from a config to everything that training needs, checked before the first step."""

import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import Optimizer
from torch.utils.flop_counter import FlopCounterMode

from gan_cli.config import parts
from gan_cli.config.build import build, naming
from gan_cli.config.schema import EveryConfig, GeneratorTraining, Schedule, validate
from gan_cli.datasets.base import Dataset
from gan_cli.divergences.base import Divergence
from gan_cli.errors import ConfigError
from gan_cli.metrics.base import Metric
from gan_cli.metrics.subject import RealSamples, Subject
from gan_cli.models.base import Critic
from gan_cli.randomness import stream
from gan_cli.trackers import Tracker
from gan_cli.training import execution, loop
from gan_cli.training.batches import Batches, batches
from gan_cli.training.device import Device
from gan_cli.training.execution import Execution
from gan_cli.training.state import TrainState, averaged_copy


@dataclass(frozen=True)
class Experiment:
    """A run, ready to start."""

    seed: int
    steps: int
    batch_size: int
    every: EveryConfig
    device: torch.device
    dataset: Dataset
    divergence: Divergence
    state: TrainState
    batches: Batches
    metrics: dict[str, Metric]
    real: RealSamples
    tracker: Tracker
    execution: Execution
    reasons: list[str]
    """How the steps are computed, in words: a line for each choice."""
    extends_exactly: bool
    """Whether more steps leave those already taken as they would have been."""
    start: Callable[[], Iterator[loop.Terms]]
    """Begins, or goes on with, the training of `state`."""

    @property
    def subject(self) -> Subject:
        """The players as they stand."""
        state = self.state
        return Subject(state.generator, state.average, state.critic, self.divergence, self.real, self.seed)


def assemble(config: DictConfig, before: Execution | None = None) -> Experiment:
    """Everything that a run needs, after a dry forward pass. Raises `ConfigError`; writes nothing.

    `before` is the execution of a run to be continued.
    """
    validate(config)
    settings: Device = build(config.device, Device, "device")
    device = settings.activate()
    dataset = parts.dataset(config)
    divergence = parts.divergence(config)
    extractor = parts.extractor(config)
    metrics = {
        name: parts.metric(node, f"metric.{name}", dataset, divergence, extractor)
        for name, node in config.metric.items()
        if name != "extractor"
    }
    tracker: Tracker = build(config.tracker, Tracker, "tracker")
    with naming("train"):
        source = batches(
            dataset, config.train.batch_size, config.seed, device, data=settings.data, workers=settings.workers
        )
    state = _state(config, dataset, device)
    _check_independence(state.critic, divergence)
    with naming("train"):
        (first,) = source(0, 1)
    with naming("model"), FlopCounterMode(display=False) as counter:
        _dry_pass(state, first, divergence)
    learns = config.train.generator is GeneratorTraining.trained
    game = loop.Game(state.generator, state.critic, divergence, learns, config.train.reuse_samples)
    operations = counter.get_total_flops()
    chosen, reasons = execution.choose(
        settings, device, game, first, operations=operations, steps=config.train.steps, before=before
    )
    return Experiment(
        seed=config.seed,
        steps=config.train.steps,
        batch_size=config.train.batch_size,
        every=typing.cast(EveryConfig, OmegaConf.to_object(config.every)),
        device=device,
        dataset=dataset,
        divergence=divergence,
        state=state,
        batches=source,
        metrics=metrics,
        real=RealSamples(dataset, extractor, config.seed, device),
        tracker=tracker,
        execution=chosen,
        reasons=[*reasons, f"data: {source.path}"],
        extends_exactly=config.train.schedule is Schedule.constant,
        start=partial(
            loop.train,
            state,
            divergence,
            source,
            steps=config.train.steps,
            seed=config.seed,
            schedule=getattr(loop, config.train.schedule.value),
            average_decay=config.train.average_decay,
            train_generator=learns,
            reuse_samples=config.train.reuse_samples,
            bf16=chosen.precision == "bf16",
            accelerate=chosen.accelerated(),
        ),
    )


def _state(config: DictConfig, dataset: Dataset, device: torch.device) -> TrainState:
    """Networks with initial weights that depend on the seed alone, and their optimizers."""
    torch.manual_seed(stream(config.seed, "initial weights"))
    generator = parts.generator(config, dataset.sample_shape)
    critic = parts.critic(config, dataset.sample_shape)
    for network in (generator, critic):
        # Convolutions are fastest with the channels innermost; other layers are not touched by it.
        network.to(device).to(memory_format=torch.channels_last)

    def optimizer(side: str, network: nn.Module) -> Optimizer:
        built = build(config.optimizer[side], Optimizer, f"optimizer.{side}", params=network.parameters())
        return typing.cast(Optimizer, built)

    return TrainState(
        generator=generator,
        critic=critic,
        average=averaged_copy(generator),
        generator_optimizer=optimizer("generator", generator),
        critic_optimizer=optimizer("critic", critic),
    )


def _check_independence(critic: Critic, divergence: Divergence) -> None:
    if divergence.penalty.independent_samples and not critic.judges_alone:
        raise ConfigError(
            "model.critic.normalization=batch makes scores depend on the rest of the batch, which a gradient"
            " penalty forbids: use layer, spectral or none, or divergence/penalty=none"
        )


@torch.no_grad()
def _dry_pass(state: TrainState, real: torch.Tensor, divergence: Divergence) -> None:
    """Run both networks once, in evaluation mode so that nothing in them changes, and check the shapes."""
    state.generator.eval()
    state.critic.eval()
    fake = state.generator(state.generator.sample_latent(len(real)))
    if fake.shape != real.shape:
        raise ConfigError(
            f"model.generator gives samples of shape {tuple(fake.shape[1:])} where dataset has {tuple(real.shape[1:])}"
        )
    scores = state.critic(real)
    if scores.shape != (len(real),):
        raise ConfigError(
            f"model.critic gives scores of shape {tuple(scores.shape)} for a batch of {len(real)}; it must be (batch,)"
        )
    for value in (divergence.estimate(scores, scores), divergence.generator_objective(scores, scores)):
        if value.shape != ():
            raise ConfigError(f"divergence gives a value of shape {tuple(value.shape)}; it must be a scalar")
