"""Paths of data: absolute in a run's config, whatever folder a command is given in."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from gan_cli.config.compose import composition_error
from gan_cli.config.identity import differences
from gan_cli.config.paths import absolute, make_absolute
from tests.helpers.configs import compose, compose_classifier


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "here"


def test_a_path_begins_at_the_root(here: Path) -> None:
    (here.parent / "far/below").mkdir(parents=True)
    (here / "link").symlink_to(here.parent / "far/below")
    assert absolute("photos") == absolute("./photos") == f"{here}/photos"
    assert absolute("~/photos") == f"{here.parent}/home/photos"
    assert absolute("/photos") == "/photos"
    assert absolute("../photos") == f"{here.parent}/photos"
    assert absolute("link/a") == f"{here}/link/a"
    assert absolute("link/../a") == f"{here.parent}/far/a"


def test_every_path_of_data_is_made_absolute_and_nothing_else(here: Path) -> None:

    def config(a: str, b: str, c: str, d: str | int) -> dict:
        first = {"path": a, "root": "cache", "classes": ["b"]}
        mixed = {"first": first, "second": {"run": b, "path": "???"}, "path": None, "run": {"cat": c}}
        return {"dataset": mixed, "test": {"data": {"path": d}}, "path": "d", "name": "e"}

    made = OmegaConf.create(config("a", "outputs/b", "c", 2024))
    make_absolute(made)
    assert made == config(f"{here}/a", f"{here}/outputs/b", f"{here}/c", f"{here}/2024")


def test_composed_runs_have_absolute_paths(here: Path) -> None:
    assert compose("dataset=folder", "dataset.path=photos").dataset.path == f"{here}/photos"
    assert compose("dataset=folder", "dataset.path=2024").dataset.path == f"{here}/2024"
    of_classifier = compose_classifier("dataset=folder", "dataset.path=a", 'test.data="folder:path=b"')
    assert (of_classifier.dataset.path, of_classifier.test.data.path) == (f"{here}/a", f"{here}/b")
    assert OmegaConf.is_missing(compose("dataset=folder").dataset, "path")


def test_a_run_whose_path_was_relative_goes_on_where_it_was(here: Path) -> None:
    new = compose("dataset=folder", "dataset.path=photos")
    old = new.copy()
    old.dataset.path = "photos"
    assert differences(old, new) == []
    assert old.dataset.path == "photos"
    old.dataset.verify = True
    assert differences(old, new) == []
    old.dataset.path = "other"
    assert differences(old, new) == [f"dataset.path={here}/other (now {here}/photos)"]


@pytest.mark.parametrize(
    "path", ["~/pics", "photos (1)", "a&b", "a#b", "name=é", "it's", 'a"b', "{a}", "x!", "a;b", "no\u00a0break"]
)
def test_a_path_that_hydra_cannot_read_is_taken_as_the_message_writes_it(path: str) -> None:
    parser = OverridesParser.create()
    with pytest.raises(OverrideParseException) as raised:
        parser.parse_overrides([f"dataset.path={path}"])
    message = str(composition_error(raised.value))
    assert "\n" not in message
    (word,) = shlex.split(message.partition("if it is text, write ")[2])
    (override,) = parser.parse_overrides([word])
    assert override.value() == path
