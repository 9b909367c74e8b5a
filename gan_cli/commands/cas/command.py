"""`gan-cas`: plan, train what is not trained yet, and conclude from what is there."""

import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf

from gan_cli.commands.cas import figure, page, text
from gan_cli.commands.cas.asked import Asked, parsed
from gan_cli.commands.cas.findings import Findings, concluded
from gan_cli.commands.cas.material import Material, gathered
from gan_cli.commands.cas.members import Run, Task, Trainer, train_all
from gan_cli.commands.cas.plan import Kind, Member, Plan, planned
from gan_cli.commands.cas.results import of_member
from gan_cli.commands.cas.verdict import verdict
from gan_cli.commands.train import recorded, refuse_changes
from gan_cli.config.schema import Config
from gan_cli.errors import CommandError, ConfigError, DivergedError
from gan_cli.runs import read, record
from gan_cli.runs.find import MEMBERS
from gan_cli.runs.folder import RunFolder
from gan_cli.runs.numbers import in_json

logger = logging.getLogger(__name__)

Compose = Callable[[Sequence[str]], DictConfig]
"""The resolved config of `gan-classify` from its overrides; raises `ConfigError`."""

ON_SYNTHETIC = "on_synthetic"
"""The folder of what classifiers of real images say of synthetic ones."""

MOST_WORKERS = 4
"""Processes at a time unless more are asked for: each holds torch and its images."""


def compare(
    source: Path, words: Sequence[str], compose: Compose, trainer: Trainer, executor: Executor | None = None
) -> str:
    """Train the classifiers, or those that are not yet, write what they show, and return it in words.

    Raises `ConfigError` before anything is trained, `InterruptedRunError` when a signal stopped it, and
    `DivergedError` when members diverged, after what the others show is written.
    """
    asked = parsed(source, words)
    material = gathered(source, asked.data)
    if asked.settings.train_gan and material.run_config is None:
        raise ConfigError(f"cas.train_gan=true needs a run, whose GAN is trained anew: {source} is a folder of images")
    top = asked.folder.resolve()
    plan = planned(asked.settings, material, str(top), asked.words)
    tasks = [_task(member, top, material, compose) for member in plan.members]
    for run in (run for task in tasks for run in task.runs):
        _refuse_changes(run)
    trainer.check(tasks[0].run.config)
    folder = RunFolder(top)
    with folder.claimed():
        folder.write_config({"config.yaml": OmegaConf.to_yaml(OmegaConf.create(_config(asked, material)))})
        summary: dict[str, Any] = {
            "status": "running",
            "members": [member.name for member in plan.members],
            **record.circumstances(torch.device("cpu")),
            "started": read.record(top).get("started", record.now()),
        }
        with recorded(folder, summary):
            try:
                diverged = train_all(tasks, trainer, _workers(asked, tasks), executor)
            except CommandError:
                if found := _concluded(plan, tasks, material, []):
                    _write(folder, asked, found)
                raise
            found = _concluded(plan, tasks, material, diverged)
            if found is None:
                raise DivergedError("diverged: every member")
            told = _write(folder, asked, found)
            summary |= {"final": {"verdict": told.rpartition("\n")[2]}, "diverged": diverged}
            if diverged:
                logger.info("%s", told)
                raise DivergedError(f"diverged: {', '.join(diverged)}; the findings are those of the other members")
    return told


def _config(asked: Asked, material: Material) -> dict[str, Any]:
    """What the comparison is of, to be read by people."""
    return {
        "source": str(asked.source),
        "dataset_text": material.real.text,
        "test": material.test.text,
        "overrides": list(asked.words),
        "cas": json.loads(json.dumps(asdict(asked.settings))),
    }


def _task(member: Member, top: Path, material: Material, compose: Compose) -> Task:
    run = Run(compose(member.overrides), top / MEMBERS / member.name)
    gan = None if member.gan is None else Run(_gan_config(member, material), top / member.gan)
    is_whole = member.condition.kind is Kind.real and member.condition.per_class is None
    if not is_whole:
        return Task(member.name, run, gan)
    synthetic = material.drawn(material.test_count, 0).node()
    OmegaConf.resolve(synthetic)
    return Task(member.name, run, gan, synthetic, _tested(member, top))


def _refuse_changes(run: Run) -> None:
    """Refuse other steps too: those of a longer or a continued training cannot be compared."""
    refuse_changes(RunFolder(run.folder), run.config)
    before = read.record(run.folder).get("steps", run.steps)
    if before != run.steps:
        raise ConfigError(
            f"{run.folder} is of {before} steps, not {run.steps}: restore cas.images_seen and so on, or choose name=…"
        )


def _tested(member: Member, top: Path) -> Path:
    return top / ON_SYNTHETIC / f"{member.name}.json"


def _gan_config(member: Member, material: Material) -> DictConfig:
    """The config of the run for the real images that the member has."""
    assert material.run_config is not None
    config = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Config), material.run_config))
    config.dataset = material.real.having(per_class=member.condition.per_class, subset_seed=member.seed).node()
    config.name, config.metric, config.study = str(member.gan), {}, None
    OmegaConf.resolve(config)
    return config


def _workers(asked: Asked, tasks: Sequence[Task]) -> int:
    if asked.settings.workers is not None:
        return asked.settings.workers
    kind = OmegaConf.select(tasks[0].run.config, "device.kind", default="auto")
    if kind == "cuda" or (kind == "auto" and torch.cuda.is_available()):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def _concluded(plan: Plan, tasks: Sequence[Task], material: Material, diverged: Sequence[str]) -> Findings | None:
    """The findings; None if no member is done."""
    found = [
        of_member(member, task.run.folder, material.classes, task.tested)
        for member, task in zip(plan.members, tasks, strict=True)
    ]
    results = [result for result in found if result is not None]
    if not results:
        return None
    done = {(result.condition, result.seed) for result in results}
    missing = [
        member.name
        for member in plan.members
        if (member.condition.name, member.seed) not in done and member.name not in diverged
    ]
    return concluded(plan.conditions, results, material.classes, diverged=diverged, missing=missing, notes=plan.notes)


def _write(folder: RunFolder, asked: Asked, found: Findings) -> str:
    """Write the table, the numbers, the pictures and the page; returns the table with the verdict as its last line."""
    judged = verdict(found, train_gan=asked.settings.train_gan)
    told = f"{text.table(found)}\n\n{judged}"
    drawn = figure.pictures(found)
    written = {
        "cas.txt": f"{told}\n",
        "findings.json": json.dumps(in_json(text.as_json(found, judged)), indent=2) + "\n",
        "cas.html": page.html(f"gan-cas: {folder.path.name}", found, judged, drawn),
    }
    for name, png in drawn.items():
        folder.write_findings(name, png)
    for name, content in written.items():
        folder.write_findings(name, content.encode())
    return told
