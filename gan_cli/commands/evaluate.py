"""What `gan-eval` does: read the answer from a receipt, else measure and leave one. torch is imported to measure."""

from dataclasses import dataclass
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from gan_cli.commands.question import Question
from gan_cli.config import options
from gan_cli.config.foreign import refuse_foreign
from gan_cli.config.schema import Config
from gan_cli.errors import CommandError, ConfigError, did_you_mean
from gan_cli.files import digest_path, source_digest
from gan_cli.runs import receipts, record
from gan_cli.runs.folder import RunFolder, step_of
from gan_cli.runs.receipts import Receipt, Request
from gan_cli.show import wording


@dataclass(frozen=True)
class Answer:
    """The receipts, a metric each, and what went wrong with metrics that have none or could not keep theirs."""

    receipts: list[Receipt]
    failures: dict[str, CommandError]


def evaluate(question: Question) -> Answer:
    """A receipt for each metric: from evaluation.json, or measured now and added to it.

    Raises `ConfigError` for what cannot be asked of this run.
    """
    if question.n is not None and question.n < 2:
        raise ConfigError(f"--n {question.n} must be at least 2")
    if question.seed < 0:
        raise ConfigError(f"--seed {question.seed} must be at least 0")
    folder = RunFolder(question.run)
    config = _config(folder, question)
    extractor = receipts.identity(config.metric.extractor)
    requests = _requests(folder, config, question)
    known = folder.read_receipts()
    found = {
        request.metric: receipt
        for request in requests
        for receipt in known
        if request.is_answered_by(receipt, extractor)
    }
    if question.metrics and (refused := [receipt["refused"] for receipt in found.values() if receipt["refused"]]):
        raise ConfigError(refused[0])
    failures: dict[str, CommandError] = {}
    if missing := [request for request in requests if request.metric not in found]:
        from gan_cli.commands.measure import measure

        measured, failures = measure(folder, config, question, missing)
        found |= measured
    return Answer([found[request.metric] for request in requests if request.metric in found], failures)


def _config(folder: RunFolder, question: Question) -> DictConfig:
    """The config of the run, with the metrics, the extractor and the device that are asked for."""
    config = folder.read_config()
    if config is None:
        raise ConfigError(f"{folder.path} is not the folder of a run: it has no .hydra/config.yaml")
    if config.get("study"):
        raise ConfigError(f"{folder.path} is a study of several runs: choose one in {folder.path / 'members'}")
    own = config.get("metric") or OmegaConf.create()
    if question.extractor is not None:
        own.extractor = options.option("metric/extractor", question.extractor)
    if "extractor" not in own:
        names = ", ".join(options.names("metric/extractor"))
        raise ConfigError(f"{folder.path} has no metric.extractor in its config: choose one with --extractor: {names}")
    known = sorted({*options.names("metric"), *map(str, own)} - {"extractor"})
    chosen = OmegaConf.create({"extractor": own.extractor})
    for name in question.metrics or known:
        if name not in known:
            raise ConfigError(f"--metric {name} is not a metric: {did_you_mean(name, known)}")
        chosen[name] = own[name] if name in own else options.option("metric", name)[name]
        if question.n is not None and "samples" in chosen[name]:
            chosen[name].samples = question.n
    config.metric = chosen
    config.device = options.option("device", question.device)
    refuse_foreign(config, question.allow)
    return cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), config))


def _requests(folder: RunFolder, config: DictConfig, question: Question) -> list[Request]:
    """What is asked of each metric."""
    checkpoints = folder.checkpoints() if question.step is None else [folder.checkpoint_of(question.step)]
    if not checkpoints:
        raise ConfigError(f"{folder.path} has no checkpoint yet: wait for its first, or set every.checkpoint")
    try:
        digest = digest_path(checkpoints[-1]).read_text().split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        digest = ""  # loading it will tell what is wrong
    return [
        Request(
            metric=str(name),
            target=str(node.get("_target_")),
            code_sha256=source_digest(str(node.get("_target_"))),
            options=_options(node),
            split=question.split or config.dataset.get("split"),
            weights=question.weights,
            seed=question.seed,
            step=step_of(checkpoints[-1]),
            checkpoint_sha256=digest,
            dataset_sha256=record.read(folder.path).get("dataset"),
        )
        for name, node in config.metric.items()
        if name != "extractor"
    ]


def _options(node: DictConfig) -> dict[str, Any]:
    options = cast(dict[str, Any], OmegaConf.to_container(node))
    return {name: value for name, value in options.items() if not name.startswith("_")}


def table(answer: Answer) -> str:
    """The numbers, each with its 95 % interval, what real samples get in the generator's place, and its samples."""
    lines = []
    rows = [("number", "value", "of real data", "n", "n real", "n held out", "extractor")]
    for receipt in answer.receipts:
        counts = [str(receipt["samples"].get(kind, "")) for kind in ("generated", "real", "held_out")]
        for name, number in receipt["numbers"].items():
            error, real = number.get("error"), number.get("real")
            value = wording.measured(number["value"], None if error is None else wording.QUANTILE * error)
            of_real = "" if real is None else wording.short(real)
            rows.append((name, value, of_real, *counts, receipt.get("extractor") or ""))
    if len(rows) > 1:
        one = answer.receipts[0]
        split = next((f"{receipt['split']} split, " for receipt in answer.receipts if receipt["split"]), "")
        lines.append(
            f"step {one['step']}, {one['weights']} weights, {split}seed {one['seed']}; ± is 1.96 standard errors"
        )
        lines.append(wording.aligned(rows))
    if refused := [receipt["metric"] for receipt in answer.receipts if receipt.get("refused")]:
        lines.append(f"does not apply: {', '.join(refused)} (evaluation.json says why)")
    return "\n".join(lines)
