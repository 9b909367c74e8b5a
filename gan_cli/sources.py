"""The code behind a dotted path, read and never run: nothing is imported."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from gan_cli.files import file_digest

PACKAGE = "gan_cli"


def module_file(module: str) -> Path | None:
    """The source file of a module; None where there is none."""
    top, *names = module.split(".")
    # importlib's find_spec would import the packages that a module lies in; of a name without dots it imports nothing.
    spec = find_spec(top) if top else None
    if spec is None:
        return None
    if not names:
        return _python(Path(spec.origin or ""))
    places = (Path(folder, *names) for folder in spec.submodule_search_locations or ())
    candidates = (path for place in places for path in (place / "__init__.py", place.with_suffix(".py")))
    return next((path for path in map(_python, candidates) if path is not None), None)


def _python(path: Path) -> Path | None:
    return path if path.suffix == ".py" and path.is_file() else None


def code_digest(*targets: str) -> str | None:
    """A SHA-256 of the modules that define classes, given as dotted paths, and of all that these import.

    What they import from this package and from their own counts, and what these import in turn. None if a module is
    not found, or is no Python.
    """
    ahead = [target.rpartition(".")[0] for target in targets]
    packages = {PACKAGE, *(module.partition(".")[0] for module in ahead)}
    found: dict[str, str] = {}
    try:
        if any(module_file(module) is None for module in ahead):
            return None
        while ahead:
            name = ahead.pop()
            path = module_file(name)
            if name in found or path is None:
                continue
            found[name] = file_digest(path)
            imported = _imported(name, path, found[name])
            ahead += [other for other in imported if other.partition(".")[0] in packages]
    except (OSError, SyntaxError, ValueError):
        return None
    text = "".join(f"{name} {digest}\n" for name, digest in sorted(found.items()))
    return hashlib.sha256(text.encode()).hexdigest() if found else None


@cache
def _imported(module: str, path: Path, digest: str) -> list[str]:  # the digest is what the cache goes by
    """The modules that a file imports, wherever in it, and names that are modules only if they are found."""
    return list(dict.fromkeys(_names(module, path)))


def _names(module: str, path: Path) -> Iterator[str]:
    for node in _statements(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                above = module.split(".")[: None if path.name == "__init__.py" else -1]
                above = above[: len(above) - node.level + 1]
                start = ".".join([*above, *([node.module] if node.module else [])])
            yield start
            yield from (f"{start}.{alias.name}" for alias in node.names)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and the statements in it: to visit expressions as well would take four times as long."""
    yield node
    for part in ("body", "orelse", "handlers", "finalbody", "cases"):
        for child in getattr(node, part, ()):
            yield from _statements(child)
