"""The answer of `gan-eval`: receipts, and how they are shown; and what both kinds of questions ask of metrics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from gan_cli.config import options
from gan_cli.errors import CommandError, ConfigError, did_you_mean
from gan_cli.exact.estimated import QUANTILE
from gan_cli.files import file_digest
from gan_cli.runs import read, receipts
from gan_cli.runs.receipts import Receipt
from gan_cli.show import intervals, wording
from gan_cli.show.tables import aligned


@dataclass(frozen=True)
class Answer:
    """The receipts, a metric each, and what went wrong with metrics that have none or could not keep theirs."""

    receipts: list[Receipt]
    failures: dict[str, CommandError]
    words: str = ""
    """What there is to say where there are no receipts."""
    heading: str = ""
    """What the numbers are about."""
    kept_in: str = "evaluation.json"
    """The file of the receipts."""


def chosen_metrics(own: DictConfig, named: Sequence[str], n: int | None) -> DictConfig:
    """The nodes of the metrics that are named, or of all, as a config has them or else as the group does.

    `n` is the number of samples, and `own` holds the extractor too. Raises `ConfigError` for names of no metric.
    """
    known = sorted({*options.names("metric"), *map(str, own)} - {"extractor"})
    chosen = OmegaConf.create({"extractor": own.extractor})
    for name in named or known:
        if name not in known:
            raise ConfigError(f"--metric {name} is not a metric: {did_you_mean(name, known)}")
        chosen[name] = own[name] if name in own else options.option("metric", name)[name]
        if n is not None and "samples" in chosen[name]:
            chosen[name].samples = n
    return chosen


def options_of(node: DictConfig) -> dict[str, Any]:
    """The options of a metric, as its receipt has them."""
    values = cast(dict[str, Any], OmegaConf.to_container(node))
    return {name: value for name, value in values.items() if not name.startswith("_")}


def identity_of(extractor: DictConfig) -> receipts.ExtractorIdentity:
    """What receipts say of an extractor: one that is a run's goes by its newest checkpoint, wherever that lies."""
    run = extractor.get("run")
    if not isinstance(run, str):
        return receipts.identity(extractor)
    kept = read.checkpoints(Path(run).expanduser())
    digest = checkpoint_digest(kept[-1]) if kept else ""
    named = receipts.identity(OmegaConf.masked_copy(extractor, [str(key) for key in extractor if key != "run"]))
    return replace(named, extractor_sha256=digest)


def checkpoint_digest(checkpoint: Path) -> str:
    """The digest of a checkpoint; nothing for a damaged one, which no receipt is of: loading it tells what is wrong."""
    try:
        digest = file_digest(checkpoint)
        return digest if digest == read.digest_of(checkpoint) else ""
    except (OSError, ValueError):
        return ""


def as_text(answer: Answer) -> str:
    """The numbers, each with its 95 % interval, what real samples get in the generator's place, and its samples."""
    lines = [answer.words] if answer.words else []
    rows = [("number", "value", "of real data", "n", "n real", "n held out", "extractor")]
    for receipt in answer.receipts:
        counts = [str(receipt["samples"].get(kind, "")) for kind in ("generated", "real", "held_out")]
        for name, number in receipt["numbers"].items():
            error, real = number.get("error"), number.get("real")
            half_width = None if error is None else QUANTILE * error
            value = wording.measured(number["value"], half_width, intervals.range_of(name))
            of_real = "" if real is None else wording.short(real)
            rows.append((name, value, of_real, *counts, receipt.get("extractor") or ""))
    if len(rows) > 1:
        lines.append(f"{answer.heading or _of_run(answer.receipts)}; ± is 1.96 standard errors")
        lines.append(aligned(rows))
    if refused := [receipt["metric"] for receipt in answer.receipts if receipt.get("refused")]:
        lines.append(f"does not apply: {', '.join(refused)} ({answer.kept_in} says why)")
    return "\n".join(lines)


def _of_run(measured: Sequence[Receipt]) -> str:
    one = measured[0]
    split = next((f"{receipt['split']} split, " for receipt in measured if receipt["split"]), "")
    return f"step {one['step']}, {one['weights']} weights, {split}seed {one['seed']}"
