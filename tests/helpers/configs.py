"""Configs as the commands compose them, and divergences by their names."""

from collections.abc import Sequence
from pydoc import locate
from typing import Any

import hydra
import torch
from omegaconf import DictConfig

from gan_cli.config import options, resolvers
from gan_cli.config.build import build
from gan_cli.config.compose import classifier, resolve
from gan_cli.config.taken import taken
from gan_cli.datasets.base import Density
from gan_cli.divergences.base import Divergence

TINY = ("dataset=ring", "metric=[]", "model.generator.hidden=[16]", "model.critic.hidden=[16]", "train.batch_size=16")
"""A run whose step takes a millisecond."""

DIVERGENCES = options.names("divergence")
PENALTIES = options.names("divergence/penalty")


def toys() -> dict[str, Density]:
    """Every data set of points, by name."""
    nodes = {name: options.option("dataset", name) for name in options.names("dataset")}
    kinds = {name: locate(node._target_) for name, node in nodes.items()}
    return {
        name: build(nodes[name], Density, name)
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, Density)
    }


def compose(*overrides: str) -> DictConfig:
    """The config of a run called "test", as `gan-train` composes it."""
    resolvers.register()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(options.CONFIGS)):
        composed = hydra.compose("config", ["name=test", *_on_the_cpu(overrides)])
    resolve(composed)
    return taken(composed)


def compose_classifier(*overrides: str) -> DictConfig:
    """The config of a classifier's run called "test", as `gan-classify` composes it."""
    resolvers.register()
    return classifier(["name=test", *_on_the_cpu(overrides)])


def _on_the_cpu(overrides: Sequence[str]) -> Sequence[str]:
    """The overrides with the CPU, where the tensors of tests are, on a machine that has a GPU."""
    is_given = any(override.startswith(("device=", "experiment=")) for override in overrides)
    return overrides if is_given or not torch.cuda.is_available() else ["device=cpu", *overrides]


def divergence(text: str) -> Any:
    """The divergence that `gan-divergence` takes `text` for, such as `alpha:alpha=2`."""
    return build(options.option("divergence", text), Divergence, text)
