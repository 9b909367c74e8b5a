"""Receipts: how a number came about, and whether two of them may be compared. Needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli import sources
from gan_cli.config.identity import leaves
from gan_cli.files import file_digest

Receipt = dict[str, Any]

COMPARABLE = (
    "metric",
    "target",
    "code_sha256",
    "options",
    "samples",
    "split",
    "extractor",
    "extractor_sha256",
    "extractor_code_sha256",
    "weights",
    "seed",
    "dtype",
    "dataset_sha256",
)
"""What must be equal for two numbers of a name to be comparable, beside the version of this program."""


@dataclass(frozen=True)
class ExtractorIdentity:
    """What a receipt says of an extractor; nothing where a metric does not look at features."""

    extractor: str | None = None
    """Its name and options."""
    extractor_sha256: str | None = None
    """The digest of its weights."""
    extractor_code_sha256: str | None = None
    """The digest of the module that defines it, and of all that this imports."""


@dataclass(frozen=True)
class Asked:
    """What a question says of things that not every metric looks at, so that an answer does not tell it."""

    split: str | None
    """None: that of the training."""
    extractor: str | None
    extractor_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A measurement that is asked for: two equal ones have one answer."""

    metric: str
    target: str
    """The dotted path of its class."""
    code_sha256: str | None
    """The digest of the module that defines it, and of all that this imports."""
    options: dict[str, Any]
    split: str | None
    """The part of the real data; None if they have one part only, and in receipts of metrics that do not look at it."""
    seed: int
    dataset_sha256: str | None
    subject_code_sha256: str | None
    """The digest of the code of what is measured: of the data, and of the divergence and the models of a run."""
    extractor: ExtractorIdentity
    asked: Asked

    def is_answered_by(self, receipt: Receipt) -> bool:
        """Whether a receipt of this version tells what is asked, if that can be asked of the run at all."""
        expected = asdict(self)
        del expected["asked"]
        extractor = expected.pop("extractor")
        if receipt.get("split") is None:
            del expected["split"]
        if receipt.get("extractor") is not None:
            # The digest of weights that would have to be downloaded first is not known.
            expected |= {name: value for name, value in extractor.items() if value is not None}
        same = all(receipt.get(name) == value for name, value in expected.items())
        known = self.code_sha256 is not None and self.subject_code_sha256 is not None
        return known and same and _version(receipt) == version("gan-cli")

    def is_repeated_by(self, receipt: Receipt) -> bool:
        """Whether a receipt tells what is asked and came of the same question, which therefore can be asked."""
        return receipt.get("asked") == asdict(self.asked) and self.is_answered_by(receipt)


@dataclass(frozen=True, kw_only=True)
class RunRequest(Request):
    """A measurement of a run at a step."""

    weights: str
    step: int
    checkpoint_sha256: str


@dataclass(frozen=True, kw_only=True)
class SamplesRequest(Request):
    """A measurement of samples that somebody collected."""

    samples_sha256: str | None
    """The digest of them; None if their config determines them."""


def is_receipt(value: object) -> bool:
    """Whether something that was read from a file has the parts of a receipt that are relied on."""
    if not isinstance(value, dict):
        return False
    numbers, samples = value.get("numbers"), value.get("samples")
    return (
        isinstance(value.get("metric"), str)
        and isinstance(value.get("step", 0), int)
        and isinstance(value.get("versions", {}), dict)
        and isinstance(numbers, dict)
        and all(
            isinstance(number, dict) and isinstance(number.get("value"), int | float) for number in numbers.values()
        )
        and isinstance(samples, dict)
    )


def circumstances(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """How a number was measured: numbers of one name compare where these are equal."""
    return {name: receipt.get(name) for name in COMPARABLE} | {"version": _version(receipt)}


def _version(receipt: Mapping[str, Any]) -> str | None:
    """The version of this program that measured the number."""
    versions: Mapping[str, str] = receipt.get("versions") or {}
    return versions.get("gan-cli")


def identity(extractor: DictConfig) -> ExtractorIdentity:
    """What a receipt says of the extractor that a config node describes.

    The weights are those of the option `sha256`, else the file that an option names.
    """
    options: Any = OmegaConf.to_container(extractor)
    target = str(options.pop("_target_"))
    name = target.rpartition(".")[2] if target.startswith("gan_cli.") else target
    digest = options.pop("sha256", None)
    for option, value in list(options.items()):
        if isinstance(value, str) and digest is None and Path(value).expanduser().is_file():
            digest = file_digest(Path(value).expanduser())
            del options[option]  # the same weights elsewhere are the same extractor
    given = ", ".join(f"{option}={value}" for option, value in options.items() if value is not None)
    return ExtractorIdentity(f"{name}({given})" if given else name, digest, sources.code_digest(target))


def code_of_game(config: DictConfig) -> str | None:
    """The digest of the code of what a game is made of: its data, its divergence and its models."""
    models = config.model
    parts = [str(node.get("_target_")) for node in (config.divergence, models.generator, models.critic)]
    return sources.code_digest(*parts, *_targets(config.dataset))


def code_of_data(*nodes: DictConfig) -> str | None:
    """The digest of the code of data sets."""
    return sources.code_digest(*(target for node in nodes for target in _targets(node)))


def _targets(node: DictConfig) -> list[str]:
    """The classes of a data set and of those within it."""
    values = leaves(OmegaConf.to_container(node))
    return [str(value) for key, value in values.items() if key.rpartition(".")[2] == "_target_"]
