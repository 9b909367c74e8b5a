"""The old places of classes whose modules moved, so that yamls and runs from then keep their meaning."""

from typing import Any

MOVED = {
    "gan_cli.device": "gan_cli.training.device",
    "gan_cli.extractors": "gan_cli.metrics.extractors",
    "gan_cli.penalties": "gan_cli.divergences.penalties",
}
"""Today's place of each module that yamls named, by the old one."""


def todays(target: str) -> str:
    """The dotted path by which a class is known today."""
    for old, new in MOVED.items():
        if target.startswith(f"{old}."):
            return new + target.removeprefix(old)
    return target


def renewed(tree: Any) -> Any:
    """A config, as plain mappings and lists, with today's name for every `_target_`."""
    match tree:
        case dict():
            return {
                name: todays(child) if name == "_target_" and isinstance(child, str) else renewed(child)
                for name, child in tree.items()
            }
        case list():
            return [renewed(child) for child in tree]
        case _:
            return tree
