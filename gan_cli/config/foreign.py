"""What may be imported because a config names it, when the config came with a folder and not from the user."""

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan_cli.errors import ConfigError

PACKAGES = ("gan_cli", "torch.optim")
"""Whose classes a config may always name: those of this program, and torch's optimizers."""


def refuse_foreign(config: DictConfig, allowed: Sequence[str] = ()) -> None:
    """Raise `ConfigError` for a `_target_` in a run's config that is neither ours nor in an allowed module.

    Nothing is imported to find out: what a run's folder names could be anyone's code.
    """
    for key, target in _targets(OmegaConf.to_container(config), ""):
        if not is_within(target, [*PACKAGES, *allowed]):
            module = target.rpartition(".")[0] or target
            raise ConfigError(
                f"{key}={target} would import code that is not part of gan-cli: if you trust it, add --allow {module}"
            )


def is_within(target: str, modules: Sequence[str]) -> bool:
    """Whether a dotted path of plain names leads into one of the modules, or of their submodules."""
    is_path = all(name.isidentifier() for name in target.split("."))
    return is_path and any(target.startswith(f"{module}.") for module in modules)


def _targets(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    """The key and the text of every `_target_` in plain mappings and lists."""
    match tree:
        case dict():
            for name, child in tree.items():
                below = f"{key}.{name}" if key else str(name)
                if name == "_target_":
                    yield below, str(child)
                yield from _targets(child, below)
        case list():
            for index, child in enumerate(tree):
                yield from _targets(child, f"{key}[{index}]")
