"""Plant small faults in the package, one at a time, and count those that the tests catch: `make mutants`.

    python scripts/mutants.py                                        # 300 faults drawn with seed 0
    python scripts/mutants.py --seed 1 --count 50 training metrics   # of these folders of gan_cli alone

The faults are mutmut's: numbers, names, operators and strings changed, arguments left out. One is drawn for each place
in the code, so that a call of many arguments weighs no more than a comparison. Left alone are words (docstrings,
messages of errors and of the log, strings outside functions), annotations, decorators, and names of types.

Each fault meets the tests of its folder in a child of a process that has imported torch already, and is caught if one
of them fails, or does not end in time. All of it happens in a copy of the tree.
"""

import argparse
import contextlib
import difflib
import hashlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import libcst as cst
import pytest
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).parent.parent
COPIED = ("gan_cli", "configs", "tests", "docs", "bench", "scripts", "pyproject.toml", "README.md", "Makefile")

TESTS = {
    "training": ("tests/training", "tests/commands/test_jobs.py", "tests/commands/test_reporter.py"),
    "divergences": ("tests/divergences", "tests/exact"),
    "metrics": ("tests/metrics", "tests/commands/test_evaluate.py"),
    "runs": (
        "tests/runs",
        "tests/commands/test_jobs.py",
        *(f"tests/commands/report/test_{name}.py" for name in ("runs", "damage", "numbers")),
        "tests/commands/test_evaluate.py",
        "tests/commands/test_resume.py",
    ),
}
"""What covers each folder: its own tests, and those of its users."""

HEAVY = ("torch._dynamo", "torchvision", "scipy.stats", "matplotlib.figure", "omegaconf", "mlxtend.data", "pydantic")
"""What takes long to import and does not change."""

LOG = "pytest.log"
"""What pytest says, in the copy."""


@dataclass(frozen=True)
class Mutant:
    """A file of the package with one fault."""

    path: str
    module: cst.Module
    node: cst.CSTNode
    fault: cst.CSTNode

    @property
    def source(self) -> str:
        return self.module.code

    @cached_property
    def mutated(self) -> str:
        mutated = self.module.deep_replace(self.node, self.fault)
        assert isinstance(mutated, cst.Module)
        return mutated.code

    def __str__(self) -> str:
        before, after = self.source.splitlines(), self.mutated.splitlines()
        for kind, i, j, start, end in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if kind != "equal":
                old, new = (" ⏎ ".join(map(str.strip, part)) for part in (before[i:j], after[start:end]))
                return f"{self.path}:{i + 1}: {old}  →  {new}"
        return self.path


def is_left_alone(node: cst.CSTNode) -> bool:
    """Whether a node and all within it are words or types."""
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Raise() | cst.Import() | cst.ImportFrom():
            return True
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return True
        case cst.Call(func=cst.Attribute(value=cst.Name(value="logger" | "warnings"))):
            return True
        case _:
            return False


def is_type_or_logger(statement: cst.CSTNode) -> bool:
    """Whether a statement of a module names something that is not a constant in capitals."""
    match statement:
        case cst.SimpleStatementLine(body=[cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))])]):
            return not name.isupper()
        case _:
            return False


def places(node: cst.CSTNode, function: str = "") -> Iterator[tuple[str, cst.CSTNode, list[cst.CSTNode]]]:
    """Each node that has faults, with the function it stands in and the faults."""
    if is_left_alone(node):
        return
    faults = [new for kind, operator in mutation_operators if isinstance(node, kind) for new in operator(node)]
    if faults and (function or not isinstance(node, cst.BaseString)):
        yield function, node, faults
    inner = f"{function}.{node.name.value}" if isinstance(node, cst.FunctionDef) else function
    for child in node.children:
        if not (isinstance(node, cst.Module) and is_type_or_logger(child)):
            yield from places(child, inner)


def drawn(folders: list[str], seed: int) -> list[Mutant]:
    """All places in the order of a digest, which an edit elsewhere does not change, with one fault each."""
    ordered: list[tuple[str, Mutant]] = []
    for path in sorted(path for folder in folders for path in (ROOT / "gan_cli" / folder).rglob("*.py")):
        name, module = str(path.relative_to(ROOT)), cst.parse_module(path.read_text())
        seen: Counter[str] = Counter()
        for function, node, faults in places(module):
            place = f"{seed} {name} {function} {module.code_for_node(node)}"
            seen[place] += 1
            digest = hashlib.sha256(f"{place} {seen[place]}".encode()).hexdigest()
            fault = faults[int(digest, 16) % len(faults)]
            ordered.append((digest, Mutant(name, module, node, fault)))
    return [mutant for _, mutant in sorted(ordered, key=lambda item: item[0])]


def test_files(folder: str) -> list[str]:
    """The files of tests that a fault in a folder of the package meets."""
    found = [Path(name) for name in TESTS[folder]]
    files = [file for path in found for file in (sorted(path.rglob("test_*.py")) if path.is_dir() else [path])]
    return list(map(str, files))


def run(files: list[str], limit: float) -> int | None:
    """The exit code of pytest over the files in a child of this process; None if it does not end in time."""
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(LOG, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in range(3):
            os.dup2(log, stream)
        try:
            os._exit(pytest.main([*files, "-x", "-q", "-p", "no:cacheprovider"]))
        finally:
            traceback.print_exc()
            os._exit(3)
    until = time.monotonic() + limit
    code = None
    while code is None and time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
        else:
            time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if code is None:
        os.waitpid(child, 0)
    return code


def is_caught(mutant: Mutant, files: list[str], limit: float) -> bool:
    """Whether one of the tests fails on the mutant."""
    path = Path(mutant.path)
    times = path.stat()
    path.write_text(mutant.mutated)
    try:
        return run(files, limit) != 0
    finally:
        path.write_text(mutant.source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that its compiled form holds


def measured(files: list[str]) -> dict[str, float]:
    """The seconds that each file of tests takes on the code as it stands, where all of them must pass."""
    seconds = {}
    for file in files:
        start = time.monotonic()
        if code := run([file], 600):
            sys.exit(f"{file} fails without a fault:\n{Path(LOG).read_text()}")
        seconds[file] = time.monotonic() - start
    return seconds


def in_a_copy(folder: Path) -> None:
    """Go on in a copy of the tree, in this process and those it starts."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # importing the plugins takes a second in each child


def main() -> None:
    """Draw, plant, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", default=[], help="of gan_cli: " + ", ".join(TESTS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    arguments = parser.parse_args()
    folders = arguments.folders or list(TESTS)
    mutants = drawn(folders, arguments.seed)[: arguments.count]

    with tempfile.TemporaryDirectory() as copy:
        in_a_copy(Path(copy))
        for name in HEAVY:
            importlib.import_module(name)
        seconds = measured(sorted({file for folder in folders for file in test_files(folder)}))
        print(f"{sum(seconds.values()):.0f} s for the tests without a fault", flush=True)
        # From now on a file and its compiled form differ.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

        caught: Counter[bool] = Counter()
        for number, mutant in enumerate(mutants, start=1):
            _, folder, *_, module = Path(mutant.path).with_suffix("").parts
            files = sorted(test_files(folder), key=lambda file: (Path(file).stem != f"test_{module}", seconds[file]))
            start = time.monotonic()
            result = is_caught(mutant, files, limit=60 + 3 * sum(seconds[file] for file in files))
            caught[result] += 1
            word = "caught  " if result else "SURVIVED"
            print(f"{number:4} {time.monotonic() - start:5.1f} s {word} {mutant}", flush=True)
    print(f"{caught[True]} of {len(mutants)} caught, {caught[True] / max(1, len(mutants)):.1%}; seed {arguments.seed}")


if __name__ == "__main__":
    main()
