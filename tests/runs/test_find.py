"""Which folders are runs."""

from pathlib import Path

import pytest

from gan_cli.errors import ConfigError
from gan_cli.runs import find


def make(root: Path, *names: str, mark: str = "run.json") -> None:
    for name in names:
        path = root / name / mark
        path.parent.mkdir(parents=True)
        path.write_text("{}")


def test_runs_are_found_in_the_order_of_their_numbers_and_each_once(tmp_path):
    make(tmp_path, "seed=2", "seed=10", "seed=1")
    make(tmp_path, "study", "study/members/b", "study/members/a")
    make(tmp_path, "early", mark=".hydra/config.yaml")
    make(tmp_path, "seed=1/samples/hidden", "seed=1/checkpoints/hidden")
    (tmp_path / "link").symlink_to(tmp_path / "seed=2")
    names = [str(path.relative_to(tmp_path)) for path in find.below(tmp_path)]
    assert names == ["early", "seed=1", "seed=2", "seed=10", "study", "study/members/a", "study/members/b"]
    assert [run.name for run in find.find([tmp_path])] == [name.replace("members/", "") for name in names]
    assert [find.is_run(tmp_path / name) for name in (".", "seed=1", "study")] == [False, True, True]


def test_where_there_is_nothing_nothing_is_found(tmp_path):
    assert find.below(tmp_path / "nowhere") == []
    assert find.below(tmp_path) == []
    with pytest.raises(ConfigError, match="holds no runs"):
        find.find([tmp_path])
