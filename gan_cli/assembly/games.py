"""From a config to a game that is ready to start: everything that training needs, checked before the first step."""

import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from gan_cli.assembly.numbers import number, optimizer, schedule
from gan_cli.assembly.source import batches_of
from gan_cli.augmentations.base import Augmentation
from gan_cli.config import parts
from gan_cli.config.build import build, in_range, naming
from gan_cli.config.schema import RANGES, EveryConfig, GeneratorTraining, validate
from gan_cli.datasets.base import Batch, Dataset, Images
from gan_cli.divergences.base import Divergence
from gan_cli.editions import NEWEST
from gan_cli.errors import ConfigError
from gan_cli.files import shortest
from gan_cli.jobs import GameJob
from gan_cli.metrics.samples import RealSamples
from gan_cli.models.base import Critic
from gan_cli.models.batch_norm import over_ranks
from gan_cli.randomness import stream
from gan_cli.ranges import NonNegative
from gan_cli.ranks import place, take
from gan_cli.runs import read
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.sources import open_run
from gan_cli.schedules import Schedule
from gan_cli.show.samples import draws_raw
from gan_cli.trackers import Tracker
from gan_cli.training.device import Device
from gan_cli.training.execution import Plan, plan
from gan_cli.training.loop import Game, draw
from gan_cli.training.scheduling import Option, Scheduling
from gan_cli.training.state import TrainState, averaged_copy


def assemble(config: DictConfig, before: Plan | None = None, edition: int = NEWEST) -> GameJob:
    """The job of a config, after a dry forward pass. Raises `ConfigError`; writes nothing.

    `before` and `edition` are those of a run to be continued.
    """
    validate(config)
    _share_out(config)
    settings: Device = build(config.device, Device, "device")
    device = settings.activate()
    dataset = parts.dataset(config, open_run)
    divergence, extractor = parts.divergence(config), parts.extractor(config, open_classifier)
    augmentation: Augmentation = build(config.augmentation, Augmentation, "augmentation")
    tracker: Tracker = build(config.tracker, Tracker, "tracker")
    source = batches_of(config, dataset, settings, device, edition)
    state, of_optimizers = _state(config, dataset, device)
    if augmentation.adaptive is not None:
        state.augmentation = augmentation.adaptive.to(device)
    is_conditional = state.generator.conditional
    metrics = {
        name: parts.metric(node, f"metric.{name}", dataset, extractor, has_labels=is_conditional)
        for name, node in config.metric.items()
        if name != "extractor"
    }
    parts.warn_of_other_data(extractor, dataset, metrics.values())
    _check_independence(state.critic, divergence)
    with naming("train"):
        (first,) = source(0, 1).unbind()
    game = Game(
        generator=state.generator,
        critic=state.critic,
        divergence=divergence,
        augmentation=augmentation,
        generator_trained=config.train.generator is GeneratorTraining.trained,
        reuse_samples=config.train.reuse_samples,
    )
    with naming("divergence.penalty"):
        divergence.penalty.number_of(game.scoring(first.labels).packs(first.samples))
    few = first.first(2 * config.train.packing)  # a forward pass of a whole batch can take a minute
    with naming("model"), FlopCounterMode(display=False) as counter:
        _dry_pass(game, few)
    planned = plan(
        settings,
        device,
        operations=counter.get_total_flops() * len(first.samples) // len(few.samples),
        steps=config.train.steps,
        before=before,
        data=source.description,
    )
    torch.set_num_threads(planned.threads)
    game.bf16 = planned.precision == "bf16"
    return GameJob(
        seed=config.seed,
        edition=edition,
        steps=config.train.steps,
        images_per_step=config.train.batch_size * divergence.critic_steps,
        every=typing.cast(EveryConfig, OmegaConf.to_object(config.every)),
        device=device,
        dataset=dataset,
        classes=_classes(dataset) if state.generator.conditional or state.critic.conditional else {},
        state=state,
        tracker=tracker,
        plan=planned,
        game=game,
        batches=source,
        scheduling=Scheduling(
            rates=in_range(schedule(config.train.schedule, "train.schedule"), NonNegative, "train.schedule"),
            average_decay=_average_decay(config.train.average_decay),
            **of_optimizers,
        ),
        metrics=metrics,
        real=RealSamples(dataset, extractor, config.seed, device, batch_size=settings.generation_batch_size),
        draws_raw=draws_raw(config),
    )


def _share_out(config: DictConfig) -> None:
    """See to it that the processes of a run have equal parts of a batch, in which what is judged together stays so."""
    size, packing = place().size, config.train.packing
    if config.train.batch_size % (size * packing):
        packs = f" in packs of train.packing={packing}" if packing > 1 else ""
        raise ConfigError(
            f"train.batch_size={config.train.batch_size} cannot be shared by {size} processes evenly{packs}:"
            f" choose a multiple of {size * packing}"
        )
    take(replace(place(), block=packing))


def known_data(run: Path, config: DictConfig, remedy: str = "restore them") -> Dataset:
    """The data that a run learned of. Raises `ConfigError`, with a remedy, if they are no longer those."""
    dataset, known = parts.dataset(config, open_run), read.record(run)
    if known.get("dataset") not in (None, dataset.fingerprint()):
        where = (
            f"dataset.path={shortest(config.dataset.path)} holds" if "path" in config.dataset else "dataset.* finds now"
        )
        raise ConfigError(f"{run} was trained on other data than {where}: {remedy}")
    if (classes := known.get("classes")) and list(classes) != list(dataset.classes):
        raise ConfigError(f"{run} was trained on other classes than dataset.* finds now: restore them")
    return dataset


def _classes(dataset: Dataset) -> dict[str, float]:
    """The share of each class by its name. Raises `ConfigError` if labels have no names."""
    of_images = dataset.labels if isinstance(dataset, Images) else None
    if not dataset.classes or (of_images is not None and of_images.max() >= len(dataset.classes)):
        raise ConfigError(f"dataset has labels without names: let {type(dataset).__name__} set its `classes`")
    return dict(zip(dataset.classes, dataset.class_shares().tolist(), strict=True))


def _state(
    config: DictConfig, dataset: Dataset, device: torch.device
) -> tuple[TrainState, dict[str, Mapping[str, Option]]]:
    """Networks with initial weights that depend on the seed alone, their optimizers, and what changes of these."""
    torch.manual_seed(stream(config.seed, "initial weights"))
    generator = parts.generator(config, dataset.sample_shape, len(dataset.classes))
    critic = parts.critic(config, dataset.sample_shape, len(dataset.classes))
    if config.model.get("conditional") and not generator.conditional:
        raise ConfigError(
            "model.conditional=true: its generator takes no labels: choose model=mlp, dcgan, resnet or r3gan"
        )
    if place().size > 1:
        generator, critic = over_ranks(generator), over_ranks(critic)
    for network in (generator, critic):
        # Convolutions are fastest with the channels innermost; other layers are not touched by it.
        network.to(device).to(memory_format=torch.channels_last)
    generator_optimizer, of_generator = optimizer(config.optimizer.generator, "optimizer.generator", generator)
    critic_optimizer, of_critic = optimizer(config.optimizer.critic, "optimizer.critic", critic)
    state = TrainState(generator, critic, averaged_copy(generator), generator_optimizer, critic_optimizer)
    return state, {"generator": of_generator, "critic": of_critic}


def _average_decay(value: Any) -> float | Schedule:
    key = "train.average_decay"
    decay = number(value, key)
    return in_range(decay, RANGES[key], key) if isinstance(decay, Schedule) else decay


def _check_independence(critic: Critic, divergence: Divergence) -> None:
    if divergence.penalty.independent_samples and not critic.judges_alone:
        raise ConfigError(
            "model.critic.normalization=batch makes scores depend on the rest of the batch, which a gradient"
            " penalty forbids: use layer, spectral or none, or divergence/penalty=none"
        )


@torch.no_grad()
def _dry_pass(game: Game, real: Batch) -> None:
    """Run both networks once, in evaluation mode so that nothing in them changes, and check the shapes."""
    for name, player in (("generator", game.generator), ("critic", game.critic)):
        player.eval()
        if player.conditional and real.labels is None:
            raise ConfigError(f"model.{name} needs the labels of samples, which dataset does not have: choose another")
    fake = draw(game, real)
    if fake.shape != real.samples.shape:
        raise ConfigError(
            f"model.generator gives samples of shape {tuple(fake.shape[1:])}"
            f" where dataset has {tuple(real.samples.shape[1:])}"
        )
    with naming("augmentation"):
        game.augmentation(real.samples)
    critic = game.scoring(real.labels)
    packs = critic.packs(real.samples)
    scores, n = critic(packs), len(packs)
    if scores.shape != (n,):
        raise ConfigError(
            f"model.critic gives scores of shape {tuple(scores.shape)} for a batch of {n}; it must be (batch,)"
        )
    divergence = game.divergence
    with naming("divergence"):
        values = divergence.estimate(scores, scores), divergence.generator_objective(scores, scores)
    for value in values:
        if value.shape != ():
            raise ConfigError(f"divergence gives a value of shape {tuple(value.shape)}; it must be a scalar")
