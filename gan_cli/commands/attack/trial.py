"""What an attack takes, whatever it is tried on: how it is built, followed and known by a receipt, and ends."""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf
from tqdm import tqdm

from gan_cli.attacks.base import Attack
from gan_cli.classifiers.base import OpenClassifier
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked
from gan_cli.config import parts
from gan_cli.config.foreign import refuse_foreign
from gan_cli.datasets.base import Dataset
from gan_cli.errors import ConfigError
from gan_cli.metrics.attacked import Parts
from gan_cli.runs import read
from gan_cli.runs.receipts import Receipt, Request


@dataclass(frozen=True)
class Shown:
    """What attacks end in."""

    words: str
    pictures: Mapping[str, bytes | None]
    """PNG files by name; None where there is nothing to see."""


def built(one: Asked, data: Dataset, question: Question, open_classifier: OpenClassifier) -> Attack:
    """The attack on images such as `data`. Raises `ConfigError` if it cannot be carried out."""
    refuse_foreign(OmegaConf.create({"attack": one.node}), question.allow)
    with one.naming():
        attack = parts.attack(one.node, one.key, data, open_classifier)
    for option, is_given in (("--out", question.out is not None), ("--8-bit", question.as_bytes)):
        if is_given and not attack.clip:
            raise ConfigError(f"{option}: pixels beyond black and white have no 8 bits: set clip=true, or leave it out")
    return attack


def bar(run: Path, name: str) -> Parts:
    """A progress bar of the chunks of images."""

    def through(firsts: Iterable[int]) -> Iterable[int]:
        shown = tqdm(firsts, desc=f"{run.name}: {name}", leave=False, delay=0.5, disable=None)
        return typing.cast(Iterable[int], shown)

    return through


def known(run: Path, request: Request, number: str) -> Receipt | None:
    """The newest receipt that answers a request and has the number, if there is one."""
    answers = (receipt for receipt in reversed(read.receipts(run)) if request.is_repeated_by(receipt))
    return next((receipt for receipt in answers if number in receipt["numbers"]), None)
