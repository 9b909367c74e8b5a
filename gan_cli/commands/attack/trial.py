"""What an attack takes, whatever it is tried on: how it is built, followed and known by a receipt, and ends."""

import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from tqdm import tqdm

from gan_cli.attacks.base import Attack
from gan_cli.classifiers.base import OpenClassifier
from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import Asked, plain
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


@contextmanager
def naming(run: Path, question: Question) -> Iterator[None]:
    """Raise each `ConfigError` with the run that it is about, where there are several."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{run}: {error}" if len(question.runs) > 1 else str(error)) from error


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


def values(one: Asked, attack: Attack) -> dict[str, Any]:
    """What a receipt says of an attack: the values of its keys and of `_target_`, and whose code it is."""
    known = plain(one.node)
    return known if attack.library is None else known | {"library": f"{attack.library} {version(attack.library)}"}


def known(run: Path, request: Request, number: str) -> Receipt | None:
    """The newest receipt that answers a request and has the number, if there is one."""
    answers = (receipt for receipt in reversed(read.receipts(run)) if request.is_repeated_by(receipt))
    return next((receipt for receipt in answers if number in receipt["numbers"]), None)
