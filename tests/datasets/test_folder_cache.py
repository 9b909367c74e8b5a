"""Decoded images, kept for the next run: the right pixels, whatever happens to the files."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_cli.datasets import cache, decoding, picture
from gan_cli.datasets.cache import ImageCache, copied
from tests.helpers.pictures import open_folder, saved


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    for index in range(6):
        (path / f"{index % 2}").mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index).save(path / f"{index % 2}" / f"{index}.bmp")
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are decoded from now on."""
    names: list[str] = []
    decode = picture.decode

    def counting(file, name, target):
        names.append(name)
        return decode(file, name, target)

    monkeypatch.setattr(decoding, "decode", counting)
    return names


def shades(dataset) -> list[int]:
    return dataset.images[:, 0, 0, 0].tolist()


SHADES = [0, 2, 4, 1, 3, 5]


def pixels_of(folder: Path) -> Path:
    (path,) = (folder.parent / "root" / "folder").glob("*.npy")
    return path


def flip(path: Path, place: int = -1) -> None:
    """Change a byte in its place."""
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_END)
        (byte,) = file.read(1)
        file.seek(place, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


def test_a_second_start_decodes_nothing_and_reads_no_pixels(folder: Path, decoded: list[str], monkeypatch) -> None:
    first = open_folder(folder)
    digest = first.fingerprint()
    assert len(decoded) == 6
    monkeypatch.setattr(cache, "_digests", lambda *_: pytest.fail("the pixels were read"))
    second = open_folder(folder)
    assert second.fingerprint() == digest == second.subset(torch.arange(6)).fingerprint()
    assert shades(second) == SHADES
    assert len(decoded) == 6


def test_an_image_of_another_size_or_time_is_read_anew(folder: Path, decoded: list[str]) -> None:
    digest = open_folder(folder).fingerprint()
    path = folder / "0" / "2.bmp"
    before = path.stat()
    Image.new("L", (8, 8), 99).save(path)
    assert path.stat().st_size == before.st_size
    for _ in range(2):
        changed = open_folder(folder)
        assert shades(changed) == [0, 99, 4, 1, 3, 5]
        assert changed.fingerprint() != digest
    assert len(decoded) == 12


def test_other_bytes_under_the_same_size_and_time_are_noticed(folder: Path) -> None:
    open_folder(folder)
    path = folder / "0" / "2.bmp"
    before = path.stat()
    Image.new("L", (8, 8), 99).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert shades(open_folder(folder)) == [0, 99, 4, 1, 3, 5]


def test_two_folders_whose_files_have_the_same_sizes_and_times_are_two(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for path in folder.rglob("*.bmp"):
        twin = other / path.relative_to(folder)
        twin.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 50).save(twin)
        for file in (path, twin):
            os.utime(file, ns=(0, 0))
    assert shades(open_folder(folder)) == SHADES
    assert shades(open_folder(other)) == [50] * 6


def test_verify_reads_the_bytes_of_the_files_and_of_the_pixels(folder: Path, decoded: list[str], monkeypatch) -> None:
    open_folder(folder, verify=True)
    copy = folder.parent / "copy"
    subprocess.run(["cp", "-r", folder, copy], check=True)
    assert shades(open_folder(copy, verify=True)) == SHADES
    assert len(decoded) == 6  # since the copy has the same bytes
    monkeypatch.setattr(cache, "_stamp", lambda _: [0])  # as if a disk had changed a bit and told nobody
    pixels_of(folder).with_suffix(".json").unlink()
    open_folder(folder, verify=True)
    flip(pixels_of(folder))
    assert shades(open_folder(folder, verify=True)) == SHADES
    assert len(decoded) == 18


@pytest.mark.parametrize("place", [-1, -100])
def test_a_changed_byte_in_the_kept_pixels_is_noticed(
    folder: Path, decoded: list[str], caplog: pytest.LogCaptureFixture, place: int
) -> None:
    open_folder(folder)
    flip(pixels_of(folder), place)
    assert shades(open_folder(folder)) == SHADES
    (message,) = caplog.messages
    assert "is damaged (its SHA-256 is not the one that was recorded), so the images are read again" in message
    assert len(decoded) == 12
    caplog.clear()
    assert shades(open_folder(folder)) == SHADES
    assert (len(decoded), caplog.messages) == (12, [])


@pytest.mark.parametrize("place", [-3, -300])
def test_a_changed_byte_in_the_facts_is_noticed(
    folder: Path, decoded: list[str], caplog: pytest.LogCaptureFixture, place: int
) -> None:
    open_folder(folder)
    flip(pixels_of(folder).with_suffix(".json"), place)
    assert shades(open_folder(folder)) == SHADES
    assert "is damaged" in caplog.text
    assert len(decoded) == 12


def test_pixels_that_were_copied_elsewhere_are_read_once_and_then_vouched_for(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_folder(folder)
    os.utime(pixels_of(folder))
    assert shades(open_folder(folder)) == SHADES
    monkeypatch.setattr(cache, "_digests", lambda *_: pytest.fail("the pixels were read"))
    assert shades(open_folder(folder)) == SHADES
    assert len(decoded) == 6


def test_a_full_disk_is_noticed_before_anything_is_decoded(
    folder: Path, decoded: list[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert shades(open_folder(folder)) == SHADES
    assert "could not be kept for the next run: [Errno 28] No space left on device" in caplog.text
    assert len(decoded) == 6
    assert not (folder.parent / "root").exists()


def start(folder: Path, code: str) -> subprocess.Popen:
    """Another process that runs `code` and then opens the folder and prints its shades."""
    opening = f"print(open_folder(Path({str(folder)!r})).images[:, 0, 0, 0].tolist())"
    head = "from pathlib import Path\nfrom tests.helpers.pictures import open_folder\n"
    command = [sys.executable, "-c", f"{head}{code}\n{opening}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


SLOW = """
from gan_cli.datasets import decoding
decode = decoding.decode
def slow(file, name, target):
    import time
    print("decoding", flush=True)
    time.sleep(0.3)
    return decode(file, name, target)
decoding.decode = slow
"""


@pytest.mark.thorough
def test_a_folder_that_two_processes_open_at_once_is_decoded_by_one(
    folder: Path, decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    other = start(folder, SLOW)
    assert other.stdout.readline() == "decoding\n"
    assert shades(open_folder(folder)) == SHADES
    assert decoded == []
    assert "another process decodes the same images: waiting for it" in caplog.messages
    out, err = other.communicate(timeout=60)
    assert (out.splitlines()[-1], err) == (str(SHADES), "")
    assert {path.suffix for path in pixels_of(folder).parent.iterdir()} == {".npy", ".json"}


@pytest.mark.thorough
def test_a_process_that_was_killed_leaves_nothing_that_stays(folder: Path, decoded: list[str]) -> None:
    killed = start(folder, SLOW)
    assert killed.stdout.readline() == "decoding\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    kept = folder.parent / "root/folder"
    assert [path.suffix for path in kept.glob(".*.tmp")] == [".tmp"]
    saved()(folder / "0" / "new.png")  # so that it is another key
    assert shades(open_folder(folder)) == [0, 2, 4, 0, 1, 3, 5]
    assert {path.suffix for path in kept.iterdir()} == {".npy", ".json"}


def test_many_chosen_images_are_copied_to_a_file_without_a_name(folder: Path, monkeypatch) -> None:
    dataset = open_folder(folder)
    chosen = torch.tensor([5, 0, 3])
    kept = folder.parent / "root/folder"
    names = {*kept.iterdir()}
    few = dataset.subset(chosen)
    monkeypatch.setattr(cache, "LARGE", 1)
    many = dataset.subset(chosen)
    assert shades(many) == shades(few) == [5, 0, 1]
    assert many.fingerprint() == few.fingerprint() != dataset.fingerprint()
    many.images.zero_()
    assert shades(dataset.subset(chosen)) == [5, 0, 1]
    assert {*kept.iterdir()} == names
    gone = copied(dataset.images, chosen, kept / "gone")
    assert gone[:, 0, 0, 0].tolist() == [5, 0, 1]


def test_the_cache_is_of_no_use_to_another_decoder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_folder(folder)
    path = pixels_of(folder)
    assert ImageCache(path.parent, path.stem).read() is not None
    assert ImageCache(path.parent, "other").read() is None


def anonymous(count: int, size: int, folder: Path) -> int:
    """Bytes of memory, without that of files, by which a process grows that opens so many images."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    for index in range(count):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    code = f"""
import re, sys
from pathlib import Path
from tests.helpers.pictures import open_folder
def used():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
open_folder(Path(sys.argv[1]), resolution=8)
before = used()
data = open_folder(Path(sys.argv[1]), resolution={size})
data.fingerprint()
print(used() - before)
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    return 1024 * int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_pixels_take_no_memory_that_is_not_a_file(tmp_path: Path) -> None:
    count, size = 2000, 256
    assert anonymous(count, size, tmp_path / "pictures") < 0.2 * count * 3 * size**2


def test_an_archive_is_known_by_its_own_size_and_time(folder: Path, decoded: list[str]) -> None:
    path = folder.parent / "pictures.tar"
    subprocess.run(["tar", "-cf", path, "-C", folder, "."], check=True)
    for _ in range(2):
        assert shades(open_folder(path)) == SHADES
    assert len(decoded) == 6
    time.sleep(0.01)
    os.utime(path)
    assert shades(open_folder(path)) == SHADES
    assert len(decoded) == 12


def test_the_facts_are_lines_of_json(folder: Path) -> None:
    open_folder(folder)
    digest, facts = map(json.loads, pixels_of(folder).with_suffix(".json").read_text().splitlines())
    assert len(digest) == 64
    assert facts["facts"]["names"] == [f"{index % 2}/{index}.bmp" for index in SHADES]
