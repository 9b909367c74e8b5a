"""The old places of classes whose modules moved, and options that are gone, so that runs from then still load."""

from typing import Any

MOVED = {
    "gan_cli.device": "gan_cli.training.device",
    "gan_cli.extractors": "gan_cli.metrics.extractors",
    "gan_cli.penalties": "gan_cli.divergences.penalties",
}
"""Today's place of each module that yamls named, by the old one."""

GONE = {"gan_cli.metrics.frechet.FrechetDistance": {"bootstraps"}}
"""Options that were removed, by the class that had them: a run does without."""


def todays(target: str) -> str:
    """The dotted path by which a class is known today."""
    for old, new in MOVED.items():
        if target.startswith(f"{old}."):
            return new + target.removeprefix(old)
    return target


def renewed(tree: Any) -> Any:
    """A config, as plain mappings and lists, with today's name for every `_target_` and no option that is gone."""
    match tree:
        case {"_target_": str(target)}:
            gone = GONE.get(todays(target), set())
            options = {name: renewed(child) for name, child in tree.items() if name not in gone}
            return options | {"_target_": todays(target)}
        case dict():
            return {name: renewed(child) for name, child in tree.items()}
        case list():
            return [renewed(child) for child in tree]
        case _:
            return tree
