"""The tree of the package: its folders are the config groups, its imports flow one way, its files stay short."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import gan_cli
from gan_cli.config.options import CONFIGS

PACKAGE = Path(gan_cli.__path__[0])
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "configs" not in path.parts)

AROUND = {"assembly", "commands", "config", "training", "exact", "runs", "show"}
"""The folders that hold no parts."""


def folders(root: Path) -> set[str]:
    """Every folder below `root` that holds files of its kind, by its path."""
    found = {path.parent.relative_to(root) for kind in ("*.py", "*.yaml") for path in root.rglob(kind)}
    return {str(folder) for folder in found if not {"configs", "__pycache__"} & set(folder.parts)} - {"."}


def singular(folder: str) -> str:
    """The config group of a folder: `metrics/extractors` is of `metric/extractor`."""
    return "/".join(part.removesuffix("s") for part in Path(folder).parts)


def test_the_folders_of_parts_are_the_config_groups():
    groups = folders(CONFIGS)
    of_files = {
        "device",
        "tracker",
        "optimizer",
        "schedule",
        "divergence/penalty",
        "divergence/kernel",
    }  # a file each serves these
    of_yaml = {"experiment", "scale", "cas"}  # recipes, which name no class
    parts = {folder for folder in folders(PACKAGE) if Path(folder).parts[0] not in AROUND}
    without_a_group = {"studies"}  # a study is a node of a recipe
    assert without_a_group <= parts
    assert {singular(folder) for folder in parts - without_a_group} == groups - of_files - of_yaml


# Imports


def name_of(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in FILES}


def imports(tree: ast.AST, *, later: bool) -> Iterator[str]:
    """The modules that are imported when this one is, and, if asked for, `later`: when a function is called."""
    for node in ast.iter_child_nodes(tree):
        for_the_type_checker = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if for_the_type_checker or (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not later):
            continue
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ({f"{module}.{alias.name}" for alias in names} & MODULES.keys()) or {module}
            case _:
                yield from imports(node, later=later)


@cache
def graph(*, later: bool) -> dict[str, set[str]]:
    """What each module imports, be it of this package or another."""
    return {name: set(imports(ast.parse(file.read_text()), later=later)) for name, file in MODULES.items()}


PARTS = {"gan_cli.exact", "gan_cli.sampling", "gan_cli.schedules", "gan_cli.trackers"}
"""Beside every folder of parts."""

LEVELS = (
    {"gan_cli.__main__"},
    {"gan_cli.cli"},
    {"gan_cli.terminal"},
    {"gan_cli.commands"},
    {"gan_cli.studies"},
    {"gan_cli.assembly"},
    {"gan_cli.jobs"},
    {"gan_cli.config", "gan_cli.training", "gan_cli.runs", "gan_cli.show", "gan_cli.metrics"},
    PARTS,
    {
        "gan_cli.editions",
        "gan_cli.errors",
        "gan_cli.files",
        "gan_cli.randomness",
        "gan_cli.ranges",
        "gan_cli.ranks",
        "gan_cli.sources",
        "gan_cli",
    },
)
"""From the shell down to torch."""


def level(module: str) -> int:
    """Where a module stands, from the top."""
    top = ".".join(module.split(".")[:2])
    for index, names in enumerate(LEVELS):
        if top in names:
            return index
    assert MODULES[module].parent != PACKAGE, f"{module} has no level: put it where it belongs"
    return LEVELS.index(PARTS)


def test_imports_flow_one_way():
    edges = [(name, other) for name, others in graph(later=True).items() for other in others & MODULES.keys()]
    assert len(edges) > 100
    assert [f"{name} imports {other}" for name, other in edges if level(name) > level(other)] == []


def test_no_module_needs_itself():
    ours = {name: others & MODULES.keys() for name, others in graph(later=True).items()}
    list(TopologicalSorter(ours).static_order())  # raises CycleError, which names the modules


def loaded_with(start: str) -> set[str]:
    """All that is imported when a module is, its packages' own modules among them."""
    edges, found, left = graph(later=False), set(), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [*edges.get(name, ()), *({name.rpartition(".")[0]} & MODULES.keys())]
    return found


def test_the_parts_load_neither_runs_nor_hydra_nor_the_rest_of_the_program():
    parts = [
        name
        for name in MODULES
        if name.startswith(("gan_cli.metrics", "gan_cli.training")) or level(name) > level("gan_cli.metrics")
    ]
    assert len(parts) > 40
    outside = set().union({"hydra", "omegaconf", "gan_cli.config", "gan_cli.runs"}, *LEVELS[: level("gan_cli.config")])
    for name in parts:
        loaded = {".".join(other.split(".")[:depth]) for other in loaded_with(name) for depth in (1, 2)}
        assert not loaded & outside, name


def test_only_the_outside_of_the_package_knows_hydra():
    knowing = {name for name, others in graph(later=True).items() if any(o.split(".")[0] == "hydra" for o in others)}
    assert "gan_cli.cli" in knowing
    assert {name for name in knowing if not name.startswith("gan_cli.config.")} == {"gan_cli.cli"}


# Files


def test_packages_are_empty():
    assert [path for path in FILES if path.name == "__init__.py" and path.read_text()] == []


def test_files_stay_short():
    # Eleven divergences are one family, to be read side by side.
    long = {path.name for path in FILES if len(path.read_text().splitlines()) > 300}
    assert long <= {"fgan.py"}
    assert not list(PACKAGE.rglob("utils.py"))
