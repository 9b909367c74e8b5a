"""What `gan-eval` does with a classifier: its accuracy with a receipt, and the classes of a folder's images."""

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli import files, sources
from gan_cli.assembly.classifiers import known_test_images
from gan_cli.commands.out import writing
from gan_cli.commands.question import Question
from gan_cli.commands.receipt import receipt_of
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.datasets.base import Images
from gan_cli.datasets.folder import Folder
from gan_cli.errors import ConfigError
from gan_cli.exact.estimated import QUANTILE
from gan_cli.metrics.accuracy import accuracies, confusion, log_probabilities
from gan_cli.metrics.base import Measured
from gan_cli.runs import read
from gan_cli.runs.classifiers import LoadedClassifier, open_classifier
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.receipts import Asked, ExtractorIdentity, Receipt, RunRequest
from gan_cli.show import intervals, wording
from gan_cli.training.device import Device

logger = logging.getLogger(__name__)


def accuracy(question: Question, config: DictConfig) -> Receipt:
    """The receipt of the accuracy on the images that the run was tested on: an earlier one, or a new one.

    Raises `ConfigError`.
    """
    device = _device(question)
    trained = open_classifier(question.run, device, question.allow)
    test = known_test_images(question.run, config)
    request = _request(question, config, trained, test)
    for receipt in reversed(read.receipts(question.run)):
        if request.is_repeated_by(receipt):
            return receipt
    numbers = accuracies(confusion(trained.network, test), trained.classes)
    receipt = receipt_of(request, device, numbers=numbers, samples={"held_out": len(test)})
    RunFolder(question.run).add_receipt(receipt, {})
    return receipt


def _request(question: Question, config: DictConfig, trained: LoadedClassifier, test: Images) -> RunRequest:
    code = sources.code_digest("gan_cli.metrics.accuracy.accuracies")
    return RunRequest(
        metric="accuracy",
        target="gan_cli.metrics.accuracy.accuracies",
        code_sha256=code,
        options={},
        split=None,
        weights="raw",
        seed=config.seed,
        step=trained.step,
        checkpoint_sha256=trained.sha256,
        dataset_sha256=test.fingerprint(),
        subject_code_sha256=sources.code_digest(str(config.classifier.get("_target_"))),
        extractor=ExtractorIdentity(),
        asked=Asked(None, None, None),
    )


def predict(question: Question, data: Path, out: Path) -> str:
    """Write the class of each image of the folder `data` as CSV to `out`; a summary in words. Raises `ConfigError`."""
    if out.suffix != ".csv":
        raise ConfigError(f"--out {out}: predictions are written as .csv")
    trained = open_classifier(question.run, _device(question), question.allow)
    channels, resolution, _ = trained.sample_shape
    node = options.option("dataset", "folder")
    node.update(path=str(data), split=None, resolution=resolution, channels=channels)  # every image there is
    OmegaConf.resolve(node)
    try:
        images: Folder = build(node, Folder, "dataset")
    except ConfigError as error:
        raise ConfigError(str(error).replace("dataset.path=", "--data ")) from error
    probabilities = log_probabilities(trained.network, images.images).exp()
    with writing(out):
        files.write_named(out, _table(images, probabilities, trained.classes).encode())
    counts = torch.bincount(probabilities.argmax(1), minlength=len(trained.classes)).tolist()
    shares = ", ".join(f"{name}: {count}" for name, count in zip(trained.classes, counts, strict=True) if count)
    summary = f"{out}: {len(images)} image{'s' * (len(images) > 1)}; {shares}"
    if (of_labels := _accuracy(images, probabilities, trained.classes)) is not None and of_labels.error is not None:
        summary += (
            f"\naccuracy {wording.measured(of_labels.value, QUANTILE * of_labels.error, intervals.SHARE)} by the names"
            " of the folders"
        )
    return summary


def _table(images: Folder, probabilities: torch.Tensor, classes: Sequence[str]) -> str:
    """A line for each image: its file, its most probable class, and the probability of every class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "class", *(f"p({name})" for name in classes)])
    for file, row in zip(images.files, probabilities, strict=True):
        writer.writerow([file, classes[int(row.argmax())], *(f"{value:.6g}" for value in row.tolist())])
    return text.getvalue()


def _accuracy(images: Folder, probabilities: torch.Tensor, classes: Sequence[str]) -> Measured | None:
    """The share of images whose class is that of their folder; None if folders are not classes of it."""
    if images.labels is None or not set(images.classes) <= set(classes):
        return None
    truth = torch.tensor([list(classes).index(name) for name in images.classes])[images.labels]
    size = len(classes)
    counts = torch.bincount(truth * size + probabilities.argmax(1), minlength=size**2).reshape(size, size)
    return accuracies(counts, classes)["accuracy"]


def _device(question: Question) -> torch.device:
    settings: Device = build(options.option("device", question.device), Device, "device")
    return settings.activate()
