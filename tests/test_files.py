"""The one writer of files: what it leaves when it ends, well or badly, and whom it does not follow."""

import os
from pathlib import Path

import pytest

from gan_cli import files
from tests.helpers.power_cut import Recorder, after_power_cuts


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_is_replaced_and_its_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    files.write(path, b"old")
    files.write(path, b"new")
    assert content(tmp_path) == {"a/b/file": b"new"}
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["the block", "fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_litter(where, error, tmp_path, monkeypatch):
    def fail(*_):
        raise error

    files.write(tmp_path / "file", b"old")
    if where != "the block":
        monkeypatch.setattr(os, where, fail)
    with pytest.raises(type(error)), files.replacing(tmp_path / "file") as file:
        file.write(b"half of the ne")
        if where == "the block":
            fail()
    assert content(tmp_path) == {"file": b"old"}


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    files.write(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert content(tmp_path) == {"victim": b"precious", "file": b"new"}


def test_a_link_planted_at_the_name_of_the_temporary_file_is_not_followed(tmp_path, monkeypatch):
    """Even if somebody guesses it."""
    (tmp_path / "victim").write_text("precious")
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".{'0' * 16}.tmp").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "file", b"new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "file").exists()


def test_temporary_names_are_not_the_same_twice(tmp_path):
    names = set()
    for _ in range(20):
        with files.replacing(tmp_path / "file"):
            names |= {path.name for path in tmp_path.iterdir()} - {"file"}
    assert len(names) == 20
    assert all(files.TEMPORARY.fullmatch(name) for name in names)


def test_what_has_been_written_survives_a_power_cut(tmp_path, monkeypatch):
    recorder = Recorder(tmp_path)
    with monkeypatch.context() as patched:
        recorder.start(patched)
        files.write(tmp_path / "new folder" / "file", b"old")
        recorder.mark("old")
        files.write(tmp_path / "new folder" / "file", b"new")
        recorder.mark("new")
    path = str(tmp_path / "new folder" / "file")
    states = {(saved, disk.get(path)) for saved, disk in after_power_cuts(recorder)}
    assert states == {(None, None), (None, b"old"), ("old", b"old"), ("old", b"new"), ("new", b"new")}


def test_what_a_user_names_is_written_where_a_link_leads(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "file")
    files.write_named(tmp_path / "link", b"one")
    files.write_named(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"two"
    files.write_named(Path(os.devnull), b"lost")
    assert Path(os.devnull).is_char_device()


def test_lines_are_appended_to_a_file_and_not_through_a_link(tmp_path):
    for line in ("one\n", "two\n"):
        with files.appending(tmp_path / "log") as file:
            file.write(line)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
    (tmp_path / "link").symlink_to(tmp_path / "log")
    with pytest.raises(OSError, match="symbolic links"):
        files.appending(tmp_path / "link")
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_temporary_files_are_told_from_others(tmp_path):
    for name in (".0123456789abcdef.tmp", "a.tmp", ".lock", ".0123456789abcdef.tmp.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in files.temporaries(tmp_path)] == [".0123456789abcdef.tmp"]
    assert files.temporaries(tmp_path / "nowhere") == []
