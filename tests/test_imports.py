"""What only reads a run imports no torch, and what measures draws nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import gan_cli

PACKAGE = Path(gan_cli.__path__[0])

WITH_TORCH = {"gan_cli.runs.load", "gan_cli.runs.checkpoints", "gan_cli.runs.classifiers", "gan_cli.runs.sources"}
"""Of the package `runs`, what builds networks and what holds their weights."""


def modules(*patterns: str) -> list[str]:
    """The modules of the package whose files match."""
    paths = [path.relative_to(PACKAGE.parent).with_suffix("") for of in patterns for path in PACKAGE.glob(of)]
    return sorted(".".join(path.parts) for path in paths if path.name != "__init__")


READERS = [
    name
    for name in modules(
        *("runs/*.py", "commands/report/*.py", "show/wording.py", "show/tables.py", "files.py", "sources.py"),
        *("commands/evaluate.py", "commands/question.py", "commands/sweep.py"),
        *(f"commands/divergence/{name}.py" for name in ("command", "listing", "formulas")),
        *(f"config/{name}.py" for name in ("schema", "taken", "identity", "earlier", "options", "compose", "help")),
        *("cli.py", "terminal.py"),
    )
    if name not in WITH_TORCH
]
METRICS = modules("metrics/**/*.py")


def imported(names: list[str], *sought: str) -> dict[str, list[str]]:
    """By module, which of the sought packages a process has imported once it has imported the module."""
    program = f"""
import importlib, json, sys
found = {{}}
for name in {names!r}:
    importlib.import_module(name)
    found[name] = sorted(set({sought!r}) & set(sys.modules))
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_what_only_reads_a_run_imports_no_torch() -> None:
    assert len(READERS) > 30
    assert {name: found for name, found in imported(READERS, "torch", "torchvision").items() if found} == {}


@pytest.mark.thorough
def test_metrics_import_nothing_that_draws_or_decodes_pictures() -> None:
    assert len(METRICS) > 15
    found = imported(METRICS, "matplotlib", "torchvision", "PIL")
    assert {name: of for name, of in found.items() if of} == {}


@pytest.mark.parametrize("command", ["report", "divergence"])
def test_commands_that_only_read_start_without_torch(command: str, tmp_path: Path) -> None:
    arguments = {"report": [str(tmp_path / "nowhere")], "divergence": ["list"]}[command]
    program = f"""
import sys
sys.argv = ["gan-{command}", *{arguments!r}]
from gan_cli import cli
try:
    cli.{command}()
except SystemExit:
    pass
print(sorted({{"torch", "matplotlib", "scipy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.thorough
def test_the_search_would_find_an_import() -> None:
    """So that the tests above mean something."""
    assert imported(["gan_cli.runs.load", "gan_cli.show.pictures"], "torch", "matplotlib") == {
        "gan_cli.runs.load": ["torch"],
        "gan_cli.show.pictures": ["matplotlib", "torch"],
    }
