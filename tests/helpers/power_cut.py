"""What a power cut may leave of files: the operations on them are recorded, and replayed in part."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import pytest

Operation = tuple[str, ...]
"""What it does, to which paths, and which file that is."""


@dataclass
class Recorder:
    """Notes what happens below a folder: names that appear, move and go, and what of all that is synced."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    """What each sync of a file wrote, by the last part of the operation."""
    _files: dict[int, str] = field(default_factory=dict)
    """The file that has an inode by now; systems use the number of a file that is gone for another."""

    def start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened, fsync = io.open, os.fsync

        def recorded_open(file, mode="r", *arguments, **options):
            result = opened(file, mode, *arguments, **options)
            if set(mode) & set("wxa"):
                name = self._files[os.fstat(result.fileno()).st_ino] = f"file {len(self.operations)}"
                self._note("link", file, name)
            return result

        def recorded_fsync(descriptor):
            fsync(descriptor)
            status = os.fstat(descriptor)
            path = next(path for path in (self.root, *self.root.rglob("*")) if path.stat().st_ino == status.st_ino)
            if stat.S_ISDIR(status.st_mode):
                self._note("sync folder", path)
                return
            version = str(len(self.contents))
            self.contents[version] = path.read_bytes()
            self._note("sync", path, self._files[status.st_ino], version)

        monkeypatch.setattr(io, "open", recorded_open)
        monkeypatch.setattr(os, "fsync", recorded_fsync)
        for name in ("replace", "unlink", "mkdir"):
            monkeypatch.setattr(os, name, self._recording(name, getattr(os, name)))

    def mark(self, text: str) -> None:
        """Note that something is complete."""
        self.operations.append(("mark", text))

    def _recording(self, name, original):
        def recorded(*paths, **options):
            original(*paths, **options)
            self._note(name, *paths)

        return recorded

    def _note(self, operation: str, path: str | os.PathLike[str], *others: object) -> None:
        if Path(path).is_relative_to(self.root):
            self.operations.append((operation, str(path), *map(str, others)))


Disk = dict[str, bytes]
"""Files by path: those whose names and folders survive, with the content that was synced, else with none."""


def after_power_cuts(recorder: Recorder) -> Iterator[tuple[str | None, Disk]]:
    """After each operation every state that the disk may be in, with the last mark before it.

    What was written and not synced is lost. Of the names that changed in a folder since that was synced, any may have
    reached the disk and any not.
    """
    for count in range(len(recorder.operations) + 1):
        done = recorder.operations[:count]
        marks = [operation[1] for operation in done if operation[0] == "mark"]
        pending = [index for index, operation in enumerate(done) if _is_pending(operation, done[index + 1 :])]
        seen = set()
        for size in range(len(pending) + 1):
            for lost in combinations(pending, size):
                disk = _replayed(recorder, [done[index] for index in range(count) if index not in lost])
                state = tuple(sorted(disk.items()))
                if state not in seen:
                    seen.add(state)
                    yield (marks[-1] if marks else None), disk


def _is_pending(operation: Operation, later: list[Operation]) -> bool:
    """Whether it changed names in a folder that was not synced since."""
    changes_names = operation[0] in ("link", "replace", "unlink", "mkdir")
    return changes_names and ("sync folder", str(Path(operation[1]).parent)) not in later


def _replayed(recorder: Recorder, operations: list[Operation]) -> Disk:
    first_names = {operation[1]: operation[2] for operation in recorder.operations if operation[0] == "link"}
    names: dict[str, str] = {}
    synced: dict[str, bytes] = {}
    folders = {str(recorder.root)}
    for operation in operations:
        match operation:
            case "link", path, file:
                names[path] = file
            case "sync", _, file, version:
                synced[file] = recorder.contents[version]
            case "replace", source, target:
                names[target] = names.pop(source, first_names[source])
            case "unlink", path:
                names.pop(path, None)
            case "mkdir", path, *_:
                folders.add(path)
    return {path: synced.get(file, b"") for path, file in names.items() if str(Path(path).parent) in folders}
