"""The digest of the code behind a number: it covers what computes, and nothing is run to get it."""

import subprocess
import sys
from pathlib import Path

import pytest

from gan_cli import sources
from gan_cli.config import options
from gan_cli.files import file_digest

FILES = {
    "measurer/__init__.py": "",
    "measurer/metric.py": "from measurer import distances\nfrom .helpers import help\n"
    "def late():\n    import measurer.late\n",
    "measurer/distances.py": "import gan_cli.metrics.distances\nimport numpy\n",
    "measurer/helpers/__init__.py": "from ..constants import ONE\n",
    "measurer/constants.py": "ONE = 1\n",
    "measurer/late.py": "",
    "measurer/other.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_anything_that_is_imported_is_seen(name: str, package: Path) -> None:
    before = sources.code_digest("measurer.metric.Metric")
    with (package / name).open("a") as file:
        file.write("# changed\n")
    assert (sources.code_digest("measurer.metric.Metric") == before) is (name == "measurer/other.py")


def test_our_own_modules_count_and_those_of_others_do_not(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(path: Path) -> str:
        read.append(path.as_posix())
        return file_digest(path)

    monkeypatch.setattr(sources, "file_digest", reading)
    sources.code_digest("measurer.metric.Metric")
    assert any(path.endswith("gan_cli/metrics/distances.py") for path in read)
    assert not any("numpy" in path for path in read)
    assert len(read) == len(set(read))


@pytest.mark.parametrize("metric", ["frechet.FrechetDistance", "manifold.PrecisionRecall", "kernel.KernelDistance"])
def test_a_change_in_distances_changes_the_metrics_that_use_them(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"gan_cli.metrics.{metric}"
    before = sources.code_digest(target)
    for name, is_used in (("distances", True), ("parzen", False)):
        monkeypatch.setattr(
            sources, "file_digest", lambda path, name=name: "0" * 64 if path.stem == name else file_digest(path)
        )
        assert (sources.code_digest(target) != before) is is_used


def test_every_metric_and_extractor_has_a_digest() -> None:
    nodes = [options.option("metric", name)[name] for name in options.names("metric")]
    nodes += [options.option("metric/extractor", name) for name in options.names("metric/extractor")]
    digests = {node["_target_"]: sources.code_digest(node["_target_"]) for node in nodes}
    assert all(digest is not None and len(digest) == 64 for digest in digests.values())


def test_nothing_is_imported_to_get_it(package: Path) -> None:
    (package / "measurer" / "__init__.py").write_text("raise SystemExit('imported')\n")
    program = f"""
import sys
sys.path.insert(0, {str(package)!r})
from gan_cli import sources
from gan_cli.files import file_digest
assert sources.code_digest("measurer.metric.Metric")
assert sources.code_digest("this.s")
assert not {{"measurer", "this", "torch", "numpy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("target", ["nowhere.Metric", "measurer.nothing.Metric", "Metric", "", "math.sqrt", "..a"])
def test_what_is_not_found_has_none(target: str, package: Path) -> None:
    assert sources.code_digest(target) is None


def test_a_module_that_is_no_python_has_none(package: Path) -> None:
    (package / "measurer" / "metric.py").write_text("def (")
    assert sources.code_digest("measurer.metric.Metric") is None
