"""What `gan-eval --real A --fake B --out FILE` does: the numbers of samples, whoever made them."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from gan_cli import files, sources
from gan_cli.commands import measuring
from gan_cli.commands.answer import Answer, chosen_metrics, identity_of, options_of
from gan_cli.commands.out import refuse_own
from gan_cli.commands.question import Comparison
from gan_cli.config import options, parts
from gan_cli.config.build import build
from gan_cli.config.given import data_node
from gan_cli.datasets.arrays import with_labels
from gan_cli.datasets.base import Dataset, InMemory
from gan_cli.errors import CommandError, ConfigError
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Collected
from gan_cli.runs import read, receipts
from gan_cli.runs.classifiers import open_classifier
from gan_cli.runs.numbers import in_json
from gan_cli.runs.receipts import Asked, Receipt, SamplesRequest
from gan_cli.runs.sources import open_run
from gan_cli.training.device import Device


def compare(question: Comparison) -> Answer:
    """A receipt for each metric: from the file of the receipts, or measured now and added to it.

    Raises `ConfigError` for what cannot be asked of these samples.
    """
    if question.out.suffix != ".json":
        raise ConfigError(f"--out {question.out}: receipts are written as .json")
    refuse_own(question.out)
    known = read.receipts_in(question.out)
    # What is misspelt is told before anything is decoded.
    metrics = chosen_metrics(OmegaConf.create({"extractor": None}), question.metrics, question.n)
    if question.extractor is not None:
        metrics.extractor = options.option("metric/extractor", question.extractor)
    config = OmegaConf.create({"real": data_node(question.real, "--real"), "fake": data_node(question.fake, "--fake")})
    settings: Device = build(options.option("device", question.device), Device, "device")
    device = settings.activate()
    real, fake = (_opened(config, side) for side in ("real", "fake"))
    _check_alike(real, fake, question)
    if question.extractor is None:
        usual = "inception" if len(real.sample_shape) == 3 else "raw"
        metrics.extractor = options.option("metric/extractor", usual)
    config.metric = metrics
    extractor = parts.extractor(config, open_classifier)
    labels = _labels(fake, real)
    setup = measuring.setup(
        config,
        device,
        real,
        extractor,
        by_name=bool(question.metrics),
        has_labels=labels is not None,
        has_players=False,
    )
    batch_size = question.batch_size or settings.generation_batch_size
    samples = RealSamples(real, extractor, question.seed, device, batch_size=batch_size)
    subject = Collected(samples, question.seed, fake, labels)
    added: dict[str, object] = {"real": question.real, "fake": question.fake}
    if fake.origin is not None:
        added["origin"] = fake.origin
    requests = _requests(config, question, real, fake)
    found, failures = measuring.take(setup, subject, requests, known, added, partial(_keep, question.out))
    told = [found[request.metric] for request in requests if request.metric in found]
    heading = f"{question.fake} beside {question.real}, seed {question.seed}"
    return Answer(told, failures, heading=heading, kept_in=str(question.out))


def _opened(config: DictConfig, side: str) -> Dataset:
    try:
        return parts.dataset(config, open_run, side)
    except ConfigError as error:
        told = re.sub(rf"^(dataset|{side})(\.path=|\.|: |=)", rf"--{side} ", str(error))
        raise ConfigError(re.sub(rf"\b(dataset|{side})\.(?=\w+=)", "", told)) from error


def _check_alike(real: Dataset, fake: Dataset, question: Comparison) -> None:
    shapes = [tuple(of.sample_shape) for of in (real, fake)]
    if shapes[0] != shapes[1]:
        are_images = all(len(shape) == 3 for shape in shapes)
        remedy = ", as folder:path=PATH:resolution=64:channels=3 makes of any images" if are_images else ""
        raise ConfigError(
            f"--real {question.real} has samples of shape {shapes[0]}, and --fake {question.fake} of {shapes[1]}:"
            f" name samples of one shape{remedy}"
        )
    for side, of in (("real", real), ("fake", fake)):
        if isinstance(of, InMemory) and len(of) < 2:
            raise ConfigError(f"--{side} {getattr(question, side)} holds one sample: numbers need several")


def _labels(fake: Dataset, real: Dataset) -> Tensor | None:
    """The label among the real of each class of the others, shape `(classes,)`; None if the real have other classes."""
    if not fake.classes or not set(fake.classes) <= set(real.classes):
        return None
    return torch.tensor([list(real.classes).index(name) for name in fake.classes])


def _requests(config: DictConfig, question: Comparison, real: Dataset, fake: Dataset) -> list[SamplesRequest]:
    extractor = identity_of(config.metric.extractor)
    asked = Asked(None, extractor.extractor, extractor.extractor_sha256)
    # What real data get is of the other split, too.
    held_out = real.other_split()
    of_real = _digest(_identity(real, config.real), None if held_out is None else _identity(held_out, config.real))
    return [
        SamplesRequest(
            metric=str(name),
            target=str(node.get("_target_")),
            code_sha256=sources.code_digest(str(node.get("_target_"))),
            options=options_of(node),
            split=real.split,
            seed=question.seed,
            dataset_sha256=of_real,
            samples_sha256=_digest(_identity(fake, config.fake)),
            subject_code_sha256=receipts.code_of_data(config.real, config.fake),
            extractor=extractor,
            asked=asked,
        )
        for name, node in config.metric.items()
        if name != "extractor"
    ]


def _identity(data: Dataset, node: DictConfig) -> str:
    """What determines samples and their classes: a digest, or else the config of the data."""
    digest = data.fingerprint() or json.dumps(OmegaConf.to_container(node), sort_keys=True)
    return with_labels(digest, data.labels if isinstance(data, InMemory) else None, data.classes)


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _keep(out: Path, receipt: Receipt, figures: Mapping[str, bytes]) -> None:
    """Add a receipt to the file, and write figures beside it, under its name and theirs."""
    try:
        path = out.resolve()  # what a link leads to is replaced, and is one file under all of its names
        files.make_folder(path.parent)
        lock = path.with_name(f".{path.name}.lock")
        with FileLock(lock):
            content: dict[str, Any] = {"receipts": [*read.receipts_in(path), receipt]}
            files.write(path, (json.dumps(in_json(content), indent=2) + "\n").encode())
            for name, png in figures.items():
                files.write(path.with_name(f"{path.stem}.{name}"), png)
            lock.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(
            f"--out {out} cannot be written ({error.strerror or error}): choose another place"
        ) from error
