"""Digests of files, without torch."""

import hashlib
from importlib.util import find_spec
from pathlib import Path


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_path(path: Path) -> Path:
    """Where the digest of a checkpoint is kept."""
    return path.with_name(path.name + ".sha256")


def source_digest(target: str) -> str | None:
    """The SHA-256 of the module that defines a class, given as a dotted path, without importing it; None if unknown."""
    try:
        spec = find_spec(target.rpartition(".")[0])
        return file_digest(Path(spec.origin)) if spec is not None and spec.origin else None
    except (ImportError, OSError, ValueError):
        return None
