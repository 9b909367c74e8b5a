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
    for key, value in _leaves(OmegaConf.to_container(config), ""):
        # What a resolver would make of it only later could be a node. Runs keep their configs resolved.
        if "${" in value:
            raise ConfigError(f"{key}={value} is not a value, but refers to one: write the value itself")
        if key.rpartition(".")[2].startswith("_target_") and not is_within(value, [*PACKAGES, *allowed]):
            module = value.rpartition(".")[0] or value
            raise ConfigError(
                f"{key}={value} would import code that is not part of gan-cli: if you trust it, add --allow {module}"
            )


def is_within(target: str, modules: Sequence[str]) -> bool:
    """Whether a dotted path of plain names leads into one of the modules, or of their submodules."""
    is_path = all(name.isidentifier() for name in target.split("."))
    return is_path and any(target.startswith(f"{module}.") for module in modules)


def _leaves(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    """The key and the text of every value in nested mappings and lists."""
    match tree:
        case dict():
            for name, child in tree.items():
                yield from _leaves(child, f"{key}.{name}" if key else str(name))
        case list():
            for index, child in enumerate(tree):
                yield from _leaves(child, f"{key}[{index}]")
        case _:
            yield key, str(tree)
