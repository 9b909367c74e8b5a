"""A study from start to end: train its members one after the other, then conclude."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli.assembly.games import assemble
from gan_cli.commands.train import recorded, refuse_changes, run
from gan_cli.config.build import build, naming
from gan_cli.config.schema import validate
from gan_cli.errors import ConfigError, DivergedError
from gan_cli.jobs import GameJob
from gan_cli.runs import checkpoints, read, record
from gan_cli.runs.find import MEMBERS
from gan_cli.runs.folder import RunFolder
from gan_cli.studies.base import Members, Study

logger = logging.getLogger(__name__)

Compose = Callable[[Mapping[str, Sequence[str]]], dict[str, DictConfig]]
"""A function from the overrides of each member to the configs of its runs, by name."""


class MemberRuns(Members):
    """The members of a study by name, each assembled when it is asked for, so that one is in memory at a time.

    A trained one is brought to where its training ended.
    """

    def __init__(self, configs: Mapping[str, DictConfig], path: Path, *, trained: bool = False) -> None:
        self._configs = configs
        self._path = path
        self._trained = trained

    def __getitem__(self, name: str) -> GameJob:
        """Raises `ConfigError` that begins with the name."""
        folder = self.folder(name)
        try:
            refuse_changes(folder, self._configs[name])
            member = assemble(self._configs[name], edition=read.edition(folder.path))
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
        if self._trained:
            _, saved = checkpoints.newest(folder.path, device=member.device)
            member.state.load_state_dict(saved)
        return member

    def over_time(self, name: str) -> Iterator[GameJob]:
        member, folder = self[name], self.folder(name).path
        for checkpoint in read.checkpoints(folder):
            _, saved = checkpoints.newest(folder, read.step_of(checkpoint), member.device)
            member.state.load_state_dict(saved)
            yield member

    def __iter__(self) -> Iterator[str]:
        return iter(self._configs)

    def __len__(self) -> int:
        return len(self._configs)

    def config(self, name: str) -> DictConfig:
        """What a member is composed of."""
        return self._configs[name]

    def folder(self, name: str) -> RunFolder:
        """The folder that a member is trained in."""
        return RunFolder(self._path / MEMBERS / name)

    def train(self) -> tuple["MemberRuns", list[str]]:
        """Train every member, or continue it; return them as trained, and the names of those that diverged."""
        diverged = []
        for number, (name, config) in enumerate(self._configs.items(), start=1):
            logger.info("member %d of %d: %s", number, len(self), name)
            try:
                run(config, self.folder(name).path, {"config.yaml": OmegaConf.to_yaml(config)})
            except DivergedError as error:
                logger.warning("%s: %s", name, error)
                diverged.append(name)
        left = {name: config for name, config in self._configs.items() if name not in diverged}
        return MemberRuns(left, self._path, trained=True), diverged


@dataclass(frozen=True)
class Opened:
    """A study whose members may be trained."""

    study: Study
    members: MemberRuns
    device: torch.device


def open_study(config: DictConfig, path: Path, compose: Compose) -> Opened:
    """The study of `config` in the folder `path`, with each member built and checked once. Raises `ConfigError`."""
    refuse_changes(RunFolder(path), config)
    validate(config)
    study: Study = build(config.study, Study, "study")
    members = MemberRuns(compose(study.members), path)
    with naming("study"):
        if study.needs_members and not members:
            raise ValueError("members= must hold at least one run")
        study.check(members)
        devices = [_checked(study, name, member).device for name, member in members.items()]
    return Opened(study, members, devices[0] if devices else torch.device("cpu"))


def run_study(config: DictConfig, path: Path, config_files: Mapping[str, str], compose: Compose) -> None:
    """Carry out the study of `config` in the folder `path`, or continue it there: members that are done stay.

    Raises as `run` does; `DivergedError` only after all members had their turn and the others were concluded from.
    """
    folder = RunFolder(path)
    opened = open_study(config, path, compose)
    study, members = opened.study, opened.members
    with folder.claimed():
        folder.write_config(config_files)
        summary: dict[str, Any] = {
            "status": "running",
            "seed": config.seed,
            "members": list(members),
            **record.circumstances(opened.device),
            "started": read.record(path).get("started", record.now()),
        }
        with recorded(folder, summary):
            trained, diverged = members.train()
            if diverged and not trained:
                raise DivergedError("diverged: every member")
            findings = study.conclude(trained)
            summary |= {"final": findings.numbers, "diverged": diverged}
            for name, png in findings.figures.items():
                folder.write_findings(name, png)
                logger.info("%s", path / name)
            logger.info("%s", findings.table)
            if diverged:
                raise DivergedError(f"diverged: {', '.join(diverged)}; the findings are those of the other members")


def _checked(study: Study, name: str, member: GameJob) -> GameJob:
    """A member, if its critic is one that the study can look at. Raises `ValueError`."""
    if member.state.critic.packing > 1 and not study.takes_packs:
        raise ValueError(f"{name} must have train.packing=1: this study looks at the critic's scores of single samples")
    return member
