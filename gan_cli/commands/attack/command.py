"""`gan-attack`: what attacks do to the networks of runs, each number with its receipt."""

import logging
from collections.abc import Mapping
from pathlib import Path

from gan_cli.commands.attack.arguments import Question
from gan_cli.commands.attack.asked import attacks
from gan_cli.commands.attack.classifier.attacking import attack_classifiers
from gan_cli.commands.attack.critic.attacking import attack_critics
from gan_cli.config import options
from gan_cli.config.build import build
from gan_cli.config.schema import ClassifierConfig, kind_of
from gan_cli.errors import ConfigError
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from gan_cli.training.device import Device

logger = logging.getLogger(__name__)


def attack(question: Question) -> str:
    """Carry out what is asked of each run, write what it shows, and return it in words. Raises `ConfigError`."""
    if question.limit is not None and question.limit < 1:
        raise ConfigError(f"--limit {question.limit} must be at least 1")
    if question.seed < 0:
        raise ConfigError(f"--seed {question.seed} must be at least 0")
    options.check_folder(question.config_dir)
    resolved = [run.resolve() for run in question.runs]
    if repeated := [run for run in resolved if resolved.count(run) > 1]:
        raise ConfigError(f"{repeated[0]} is named twice: leave one out")
    folders = [options.CONFIGS] if question.config_dir is None else [options.CONFIGS, question.config_dir]
    asked = attacks(question.attacks, folders)
    settings: Device = build(options.option("device", question.device), Device, "device")
    device = settings.activate()
    carry_out = attack_classifiers if _are_classifiers(question.runs) else attack_critics
    shown = carry_out(question, asked, device)
    return "\n".join([shown.words, *_written(shown.pictures, question.runs[0])])


def _written(pictures: Mapping[str, bytes | None], run: Path) -> list[str]:
    """The paths of the pictures in a run's folder. What cannot be written is told of, and takes no number along."""
    folder = RunFolder(run)
    paths = []
    for name, picture in pictures.items():
        try:
            if picture is None:
                folder.remove_findings(name)  # that of an earlier command
                continue
            folder.write_findings(name, picture)
        except ConfigError as error:
            logger.warning("%s", error)
        else:
            paths.append(str(run / name))
    return paths


def _are_classifiers(runs: list[Path]) -> bool:
    """Whether the runs are those of classifiers, and not of games. Raises `ConfigError` for some of both."""
    kinds = {run: kind_of(read.config_of_run(run)) is ClassifierConfig for run in runs}
    if len(set(kinds.values())) > 1:
        classifier, game = (next(run for run, kind in kinds.items() if kind is sought) for sought in (True, False))
        raise ConfigError(
            f"{classifier} is the run of a classifier and {game} that of a game: attack one kind at a time"
        )
    return kinds[runs[0]]
