"""A study from start to end: train its members one after the other, then conclude."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli.assembly import Experiment, assemble
from gan_cli.commands.train import recorded, refuse_changes, run
from gan_cli.config.build import build, naming
from gan_cli.config.schema import validate
from gan_cli.errors import ConfigError, DivergedError
from gan_cli.runs import checkpoints, read, record
from gan_cli.runs.folder import RunFolder
from gan_cli.studies.base import Study

logger = logging.getLogger(__name__)

Compose = Callable[[Mapping[str, Sequence[str]]], dict[str, DictConfig]]
"""From the overrides of each member to the configs of its runs, by name."""

MEMBERS = "members"


def run_study(config: DictConfig, path: Path, config_files: Mapping[str, str], compose: Compose) -> None:
    """Carry out the study of `config` in the folder `path`, or continue it there: members that are done stay.

    Raises as `run` does; `DivergedError` only after all members had their turn and the others were concluded from.
    """
    folder = RunFolder(path)
    refuse_changes(folder, config)
    validate(config)
    study: Study = build(config.study, Study, "study")
    members = compose(study.members)
    experiments = {}
    for name, member in members.items():
        try:
            refuse_changes(RunFolder(path / MEMBERS / name), member)
            experiments[name] = assemble(member)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    with naming("study"):
        if study.needs_members and not members:
            raise ValueError("members= must hold at least one run")
        study.check(experiments)
    with folder.claimed():
        folder.write_config(config_files)
        summary: dict[str, Any] = {
            "status": "running",
            "seed": config.seed,
            "members": list(members),
            **record.circumstances(next((e.device for e in experiments.values()), torch.device("cpu"))),
            "started": read.record(path).get("started", record.now()),
        }
        with recorded(folder, summary):
            diverged = _train(members, path)
            trained = {name: experiment for name, experiment in experiments.items() if name not in diverged}
            for name, experiment in trained.items():
                _load(experiment, path / MEMBERS / name)
            if diverged and not trained:
                raise DivergedError("diverged: every member")
            findings = study.conclude(trained)
            summary |= {"final": findings.numbers, "diverged": diverged}
            for name, png in findings.figures.items():
                folder.write_figure(name, png)
                logger.info("%s", path / name)
            logger.info("%s", findings.table)
            if diverged:
                raise DivergedError(f"diverged: {', '.join(diverged)}; the findings are those of the other members")


def _train(members: Mapping[str, DictConfig], path: Path) -> list[str]:
    """Train every member; returns the names of those that diverged."""
    diverged = []
    for number, (name, member) in enumerate(members.items(), start=1):
        logger.info("member %d of %d: %s", number, len(members), name)
        try:
            run(member, path / MEMBERS / name, {"config.yaml": OmegaConf.to_yaml(member)})
        except DivergedError as error:
            logger.warning("%s: %s", name, error)
            diverged.append(name)
    return diverged


def _load(experiment: Experiment, path: Path) -> None:
    """Bring a member to where its training ended."""
    _, saved = checkpoints.newest(path, device=experiment.device)
    experiment.state.load_state_dict(saved)
