"""What the names of images in a folder say: which classes they are of, and which of them are to test on."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from gan_cli.datasets.source import in_order
from gan_cli.errors import ConfigError

TRAIN = "train"
TEST = ("test", "val", "valid", "validation")
"""The names of the other split, the first that there is."""


def common_folder(names: Sequence[str]) -> str:
    """The folder that all the names begin with, and a slash; empty if there is none."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    (top,) = tops if len(tops) == 1 else ("",)
    return f"{top}/" if top else ""


def splits(names: Iterable[str]) -> dict[str, str]:
    """The folder of each split, if the images lie in folders of splits alone; else none."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    of = {top.lower(): top for top in tops}
    if len(of) < len(tops) or TRAIN not in of or len(of) < 2 or not of.keys() <= {TRAIN, *TEST}:
        return {}
    return {"train": of[TRAIN], "test": next(of[name] for name in TEST if name in of)}


def ordered(names: Sequence[str]) -> list[int]:
    """The indices of names as they are to be sorted; the last of equal names alone, as unpacking leaves it."""
    last = {name: index for index, name in enumerate(names)}
    of_split = splits(last)

    def key(name: str) -> tuple[str, tuple[str, str]]:
        split, _, rest = name.partition("/") if of_split else ("", "", name)
        return split, in_order(rest)

    return [last[name] for name in sorted(last, key=key)]


def classes(names: Iterable[str], path: Path) -> list[str]:
    """The folders that the names begin with; none if there are none. Raises `ConfigError` if only some have one."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.partition("/")[0] if "/" in name else "", name)
    if "" in first and len(first) > 1:
        folder = next(name for name in sorted(first) if name)
        raise ConfigError(
            f"dataset.path={path} holds images ({first['']}) beside a folder of images ({folder}): move either"
            " elsewhere"
        )
    return sorted(filter(None, first))


def check(names: Sequence[str], path: Path, *, by_split: bool) -> None:
    """Raise `ConfigError` for images whose classes are not clear, or differ between the splits."""
    of_split = splits(names) if by_split else {}
    if not of_split:
        classes(names, path)
        return
    found = {split: classes(within(names, folder), path / folder) for split, folder in of_split.items()}
    if odd := sorted(set(found["train"]) ^ set(found["test"])):
        shown = ", ".join(odd[:5]) + (", …" if len(odd) > 5 else "")
        raise ConfigError(
            f"dataset.path={path}: {of_split['train']} and {of_split['test']} differ in their classes ({shown}): give"
            " both the same, or name one of the folders"
        )


def within(names: Iterable[str], folder: str) -> list[str]:
    """The names in a folder, relative to it; those of no folder are as they are."""
    start = f"{folder}/" if folder else ""
    return [name[len(start) :] for name in names if name.startswith(start)]
