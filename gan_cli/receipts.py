"""Receipts: how a number came about, and whether two of them may be compared. Needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli.artifacts import RunFolder
from gan_cli.digests import file_digest
from gan_cli.errors import ConfigError

Receipt = dict[str, Any]

COMPARABLE = (
    "metric",
    "options",
    "samples",
    "split",
    "extractor",
    "extractor_sha256",
    "weights",
    "seed",
    "dtype",
    "dataset_sha256",
)
"""What must be equal for two numbers of a name to be comparable, beside the version of this program."""


@dataclass(frozen=True)
class Request:
    """A measurement that is asked for: two equal ones have one answer."""

    metric: str
    options: dict[str, Any]
    split: str | None
    weights: str
    seed: int
    step: int
    checkpoint_sha256: str
    dataset_sha256: str | None

    def is_answered_by(self, receipt: Receipt, extractor: Mapping[str, Any]) -> bool:
        """Whether a receipt of this version tells what is asked, by this extractor or without any."""
        same = all(receipt.get(name) == value for name, value in asdict(self).items())
        if not same or _version(receipt) != version("gan-cli"):
            return False
        # The digest of weights that would have to be downloaded first is not known.
        known = {name: value for name, value in extractor.items() if value is not None}
        return receipt.get("extractor") is None or all(receipt.get(name) == value for name, value in known.items())


def read(folder: Path) -> list[Receipt]:
    """The receipts of a run. Raises `ConfigError` where evaluation.json is damaged."""
    return RunFolder(folder).read_receipts()


def circumstances(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """How a number was measured: numbers of one name compare where these are equal."""
    return {name: receipt.get(name) for name in COMPARABLE} | {"version": _version(receipt)}


def _version(receipt: Mapping[str, Any]) -> str | None:
    """Of this program, when the number was measured."""
    versions: Mapping[str, str] = receipt.get("versions") or {}
    return versions.get("gan-cli")


def identity(extractor: DictConfig) -> dict[str, Any]:
    """What a receipt says of the extractor that a config node describes: its name, and the digest of its weights."""
    options: Any = OmegaConf.to_container(extractor)
    kind = str(options.pop("_target_")).rpartition(".")[2]
    digest = options.pop("sha256", None)
    if digest is None and options.get("weights"):
        path = Path(options["weights"]).expanduser()
        if not path.is_file():
            raise ConfigError(f"metric.extractor.weights={options['weights']} is not a file: name the file of weights")
        digest = file_digest(path)
        options["weights"] = path.name
    given = ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
    return {"extractor": f"{kind}({given})" if given else kind, "extractor_sha256": digest}
