"""What `gan-eval` does: read the answer from a receipt, else measure and leave one. torch is imported to measure."""

from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from gan_cli import sources
from gan_cli.commands.answer import Answer, checkpoint_digest, chosen_metrics, identity_of, options_of
from gan_cli.commands.question import Comparison, Question
from gan_cli.config import options
from gan_cli.config.foreign import refuse_foreign
from gan_cli.config.paths import absolute
from gan_cli.config.schema import ClassifierConfig, Config, kind_of
from gan_cli.errors import CommandError, ConfigError
from gan_cli.runs import read, receipts
from gan_cli.runs.receipts import Asked, RunRequest


def answer(asked: Question | Comparison) -> Answer:
    """The answer to a question about a run, or about samples."""
    if isinstance(asked, Question):
        return evaluate(asked)
    from gan_cli.commands.compare import compare

    return compare(asked)


def evaluate(question: Question) -> Answer:
    """A receipt for each metric: from evaluation.json, or measured now and added to it.

    Raises `ConfigError` for what cannot be asked of this run.
    """
    if kind_of(config := read.config_of_run(question.run)) is ClassifierConfig:
        return _of_classifier(question, config)
    if question.out is not None:
        raise ConfigError(f"--out is for classifiers, and {question.run} is a game: leave it out")
    config = _config(question)
    if question.data is not None:
        _move_data(config, question.run, question.data)
    requests = _requests(config, question)
    known = read.receipts(question.run)
    if question.device not in ("auto", "cpu"):  # only torch knows whether there is such a device
        known = []
    found = {request.metric: receipt for request in requests for receipt in known if request.is_repeated_by(receipt)}
    if question.metrics and (refused := [receipt["refused"] for receipt in found.values() if receipt["refused"]]):
        raise ConfigError(refused[0])
    failures: dict[str, CommandError] = {}
    if missing := [request for request in requests if request.metric not in found]:
        from gan_cli.commands.measure import measure

        measured, failures = measure(config, question, missing)
        found |= measured
    return Answer([found[request.metric] for request in requests if request.metric in found], failures)


def _of_classifier(question: Question, config: DictConfig) -> Answer:
    """The accuracy of a classifier; or nothing to read here, once the classes of a folder's images are written."""
    of_games = {
        "--metric": [name for name in question.metrics if name != "accuracy"],
        "--n": question.n,
        "--split": question.split,
        "--step": question.step,
        "--extractor": question.extractor,
    }
    if given := [name for name, value in of_games.items() if value]:
        raise ConfigError(
            f"{given[0]} is for games, and {question.run} is a classifier, whose metric is accuracy: leave it out"
        )
    if (question.data is None) != (question.out is None):
        raise ConfigError("--data PATH --out predictions.csv go together: name both")
    from gan_cli.commands import classified

    if question.data is not None and question.out is not None:
        return Answer([], {}, words=classified.predict(question, question.data, question.out))
    return Answer([classified.accuracy(question, config)], {})


def _config(question: Question) -> DictConfig:
    """The config of the run, with the metrics, the extractor and the device that are asked for."""
    run = question.run
    config = read.config_of_run(run)
    own = config.get("metric") or OmegaConf.create()
    if question.extractor is not None:
        own.extractor = options.option("metric/extractor", question.extractor)
    if "extractor" not in own:
        names = ", ".join(options.names("metric/extractor"))
        raise ConfigError(f"{run} has no metric.extractor in its config: choose one with --extractor: {names}")
    config.metric = chosen_metrics(own, question.metrics, question.n)
    batch_size = question.batch_size or (config.get("device") or {}).get("generation_batch_size")
    config.device = options.option("device", question.device)
    if batch_size is not None:
        config.device.generation_batch_size = batch_size
    refuse_foreign(config, question.allow)
    return cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), config))


def _move_data(config: DictConfig, run: Path, data: Path) -> None:
    """Have the config name the place where its data are now. Raises `ConfigError` if they are not those of the run."""
    if "path" not in config.dataset:
        raise ConfigError(f"--data is for runs on data of a path, such as a folder, which {run} is not: leave it out")
    config.dataset.path = absolute(str(data))
    from gan_cli.assembly.games import known_data

    try:
        known_data(run, config)
    except ConfigError as error:
        raise ConfigError(str(error).replace("dataset.path=", "--data ")) from error


def _requests(config: DictConfig, question: Question) -> list[RunRequest]:
    """What is asked of each metric."""
    run = question.run
    checkpoints = read.checkpoints(run) if question.step is None else [read.checkpoint_of(run, question.step)]
    if not checkpoints:
        raise ConfigError(f"{run} has no checkpoint yet: wait for its first, or set every.checkpoint")
    digest, dataset = checkpoint_digest(checkpoints[-1]), read.record(run).get("dataset")
    extractor = identity_of(config.metric.extractor)
    subject = receipts.code_of_game(config)
    asked = Asked(question.split, extractor.extractor, extractor.extractor_sha256)
    return [
        RunRequest(
            metric=str(name),
            target=str(node.get("_target_")),
            code_sha256=sources.code_digest(str(node.get("_target_"))),
            options=options_of(node),
            split=question.split or config.dataset.get("split"),
            weights=question.weights,
            seed=question.seed,
            step=read.step_of(checkpoints[-1]),
            checkpoint_sha256=digest,
            dataset_sha256=dataset,
            subject_code_sha256=subject,
            extractor=extractor,
            asked=asked,
        )
        for name, node in config.metric.items()
        if name != "extractor"
    ]
