"""Measure what `gan-eval` was asked of a run and no receipt answers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from omegaconf import DictConfig

from gan_cli.assembly.games import known_data
from gan_cli.commands import measuring
from gan_cli.commands.question import Question
from gan_cli.config import parts
from gan_cli.config.build import build
from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError
from gan_cli.files import shortest
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.runs import read
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.load import load_run
from gan_cli.runs.receipts import Receipt, RunRequest
from gan_cli.training.device import Device


def measure(
    config: DictConfig, question: Question, requests: Sequence[RunRequest]
) -> tuple[dict[str, Receipt], measuring.Failures]:
    """The receipts by metric, each added to evaluation.json as soon as it is known, and what failed.

    Raises `ConfigError` for a question that cannot be asked of the run, and where a metric was asked for by name that
    does not apply.
    """
    config.device.precision = "float32"  # as the receipts say
    settings: Device = build(config.device, Device, "device")
    device = settings.activate()
    dataset = _data(config, question)
    divergence, extractor = parts.divergence(config), parts.extractor(config, open_classifier)
    run = load_run(question.run, question.step, device, question.allow)
    generator, critic = run.sampler(question.weights), run.critic
    setup = measuring.setup(
        config,
        device,
        dataset,
        extractor,
        by_name=bool(question.metrics),
        has_labels=generator.conditional,
        has_players=True,
    )
    try:
        real = RealSamples(
            dataset, extractor, question.seed, device, question.split, batch_size=settings.generation_batch_size
        )
    except ValueError as error:
        raise ConfigError(f"--{error}: leave --split out") from error
    for network in (generator, critic):
        network.to(memory_format=torch.channels_last)  # as in training
    subject = Players(real, question.seed, generator, generator, critic, divergence)
    # If a damaged newest checkpoint was skipped, the requests are of the one before it; and the config does not tell
    # whether the data have splits.
    of_run = partial(replace, step=run.step, checkpoint_sha256=run.checkpoint_sha256)
    requests = [of_run(request, split=question.split or dataset.split) for request in requests]
    folder, added = RunFolder(question.run), {} if dataset.origin is None else {"origin": dataset.origin}
    # Receipts of other questions may tell as much, now that these are known to be ones that can be asked.
    return measuring.take(setup, subject, requests, read.receipts(question.run), added, folder.add_receipt)


def _data(config: DictConfig, question: Question) -> Dataset:
    """The data that the run learned of. Raises `ConfigError`, which names --data where they may have moved."""
    path = config.dataset.get("path")
    if path is None or question.data is not None:
        return known_data(question.run, config)
    remedy = "restore them, or name where they are now with --data PATH"
    if not Path(path).expanduser().exists():
        raise ConfigError(f"the data of {question.run}, dataset.path={shortest(path)}, do not exist: {remedy}")
    return known_data(question.run, config, remedy)
