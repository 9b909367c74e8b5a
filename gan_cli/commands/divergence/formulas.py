"""The formulas that the docstrings of divergences state, one a line after its name. Reads source; imports no torch."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from gan_cli import sources
from gan_cli.config import options
from gan_cli.errors import ConfigError

FIELDS = (
    *("f", "g", "f*", "domain", "T", "f′(1)", "at P = Q", "disjoint", "non-saturating"),
    *("critic", "generator", "best"),
    *("value", "where", "source"),
)
"""An f-divergence has the first nine, any other objective the next three, both have the last three."""

FIELD = re.compile(rf"^({'|'.join(map(re.escape, FIELDS))}): (.+)$", re.MULTILINE)
CITATION = re.compile(r"\(([^()]*arXiv[^()]*)\)")


@dataclass(frozen=True)
class Formulas:
    """What is printed of one option of the group `divergence`."""

    name: str
    summary: str
    """The first paragraph of its docstring."""
    stated: dict[str, str]
    """The formulas by the names of `FIELDS`; only those that the docstring has."""

    @property
    def is_f_divergence(self) -> bool:
        return "f" in self.stated

    def __getitem__(self, field: str) -> str:
        return self.stated.get(field, "–")


def of(name: str, folders: Sequence[Path] = (options.CONFIGS,)) -> Formulas:
    """The formulas of an option, with what its penalty adds to them. Raises `ConfigError`."""
    node = options.option("divergence", name, folders)
    docstring = _docstring(str(node.get("_target_")), name)
    stated = dict(FIELD.findall(docstring))
    penalty = _penalty(name, folders)
    if penalty != "none" and "critic" in stated:
        stated["critic"] += f", less {penalty}"
        sources = CITATION.findall(_docstring(str(node.penalty.get("_target_")), f"{name}.penalty"))
        sources = [source.replace("; arXiv", ", arXiv") for source in sources]
        stated["source"] = "; ".join([stated.get("source", ""), *sources]).removeprefix("; ")
    summary = FIELD.sub("", docstring.partition("\n\n")[0])
    return Formulas(name, " ".join(summary.split()), stated)


def _penalty(name: str, folders: Sequence[Path]) -> str:
    """The penalty that a divergence chooses."""
    node = cast(DictConfig, OmegaConf.load(options.path("divergence", name.split(":")[0], folders)))
    return options.choices("divergence", node.get("defaults", [])).get("penalty", "none")


def _docstring(target: str, key: str) -> str:
    """The docstring of the class that a `_target_` names, read from its source. Raises `ConfigError`."""
    module, _, name = target.rpartition(".")
    path = sources.module_file(module)
    try:
        body = [] if path is None else ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"{key}._target_={target} cannot be read: {error}") from error
    classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name]
    if not classes:
        raise ConfigError(f"{key}._target_={target} is not found: is its folder on PYTHONPATH?")
    return ast.get_docstring(classes[0]) or ""
