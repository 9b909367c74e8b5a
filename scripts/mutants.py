"""Plant small faults in the package, one at a time, and count those that the tests catch: `make mutants`.

    python scripts/mutants.py                                        # 300 faults drawn with seed 0
    python scripts/mutants.py --seed 1 --count 50 training metrics   # of these folders of gan_cli alone

The faults are mutmut's: numbers, names, operators and strings changed, arguments left out. One is drawn for each place
in the code, so that a call of many arguments weighs no more than a comparison. Left alone are words (docstrings,
messages of errors and of the log, strings outside functions), annotations, decorators, and names of types.

Each fault meets those tests of its folder that execute its line, the fastest first, in a child of a process that has
imported torch already; it is caught if one of them fails, or does not end in time. All of it happens in a copy of the
tree.
"""

import argparse
import contextlib
import difflib
import hashlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import libcst as cst
import pytest
from coverage import Coverage
from mutmut.mutation.mutators import mutation_operators

ROOT = Path(__file__).parent.parent
COPIED = ("gan_cli", "configs", "tests", "docs", "bench", "scripts", "pyproject.toml", "README.md", "Makefile")

TESTS = {
    "training": (
        "tests/training",
        "tests/models/test_scoring.py",
        "tests/test_schedules.py",
        *(f"tests/commands/test_{name}.py" for name in ("jobs", "reporter")),
    ),
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

OPTIONS = ("-x", "-q", "-p", "no:cacheprovider")

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

    @cached_property
    def difference(self) -> tuple[int, list[str], list[str]]:
        """The first line that differs, counted from 1, and the lines before and after."""
        before, after = self.source.splitlines(), self.mutated.splitlines()
        matches = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        _, i, j, k, end = next(match for match in matches if match[0] != "equal")
        return i + 1, before[i:j], after[k:end]

    @property
    def lines(self) -> range:
        """The lines of the file that differ."""
        first, before, _ = self.difference
        return range(first, first + len(before))

    def __str__(self) -> str:
        first, *parts = self.difference
        before, after = (" ⏎ ".join(map(str.strip, part)) for part in parts)
        return f"{self.path}:{first}: {before}  →  {after}"


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


class Watch:
    """A plugin of pytest that notes the seconds of each test, and which lines it executes."""

    def __init__(self, coverage: Coverage) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Lines are those of the test that begins."""
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


@dataclass(frozen=True)
class Tests:
    """What is known of the tests of a folder, all of which pass without a fault."""

    seconds: dict[str, float]
    """By test."""
    lines: dict[str, dict[int, list[str]]]
    """The tests that execute each line of each file."""

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that execute a line of the fault, or all where imports alone do; fastest first."""
        lines = self.lines.get(mutant.path, {})
        found = {test for line in mutant.lines for test in lines.get(line, ())} & self.seconds.keys()
        return sorted(found or self.seconds, key=self.seconds.__getitem__)


def watched(tests: Sequence[str], into: str) -> int:
    """Run the tests as they are, and leave in a file what is known of them."""
    coverage = Coverage(data_file=None, source=["gan_cli"])
    watch = Watch(coverage)
    coverage.start()
    code = pytest.main([*tests, *OPTIONS], plugins=[watch])
    coverage.stop()
    data = coverage.get_data()
    lines = {str(Path(file).relative_to(Path.cwd())): data.contexts_by_lineno(file) for file in data.measured_files()}
    Path(into).write_text(json.dumps([watch.seconds, lines]))
    return code


def in_child(call: Callable[[], int], limit: float) -> int | None:
    """What a call in a child of this process returns; None if it does not end in time."""
    child = os.fork()
    if child == 0:
        os.setsid()
        log = os.open(LOG, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        for stream in range(3):
            os.dup2(log, stream)
        try:
            os._exit(call())
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


def known(folder: str) -> Tests:
    """What is known of the tests of a folder, once they have passed."""
    into = f"{folder}.json"
    if in_child(partial(watched, TESTS[folder], into), 1800) != 0:
        sys.exit(f"the tests of {folder} fail without a fault:\n{Path(LOG).read_text()}")
    seconds, lines = json.loads(Path(into).read_text())
    return Tests(seconds, {file: {int(line): found for line, found in of.items()} for file, of in lines.items()})


def is_caught(mutant: Mutant, tests: Tests) -> bool:
    """Whether one of the tests fails on the mutant."""
    chosen = tests.of(mutant)
    path = Path(mutant.path)
    times = path.stat()
    path.write_text(mutant.mutated)
    try:
        limit = 30 + 4 * sum(tests.seconds[test] for test in chosen)
        return in_child(partial(pytest.main, [*chosen, *OPTIONS]), limit) != 0
    finally:
        path.write_text(mutant.source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that its compiled form holds


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
        tests = {folder: known(folder) for folder in folders}
        # From now on a file and its compiled form differ.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"

        caught: Counter[bool] = Counter()
        for number, mutant in enumerate(mutants, start=1):
            start = time.monotonic()
            result = is_caught(mutant, tests[Path(mutant.path).parts[1]])
            caught[result] += 1
            word = "caught  " if result else "SURVIVED"
            print(f"{number:4} {time.monotonic() - start:5.1f} s {word} {mutant}", flush=True)
    print(f"{caught[True]} of {len(mutants)} caught, {caught[True] / max(1, len(mutants)):.1%}; seed {arguments.seed}")


if __name__ == "__main__":
    main()
