"""Points of files: which tables and arrays are read, what is refused, and how points without a density are measured."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.config.options import names as options
from gan_cli.datasets.points import Points
from gan_cli.metrics.sliced import SlicedWasserstein
from gan_cli.runs import read
from tests.helpers.commands import Command
from tests.helpers.configs import TINY, compose
from tests.helpers.resuming import assert_resumes_exactly
from tests.helpers.runs import record, tree
from tests.helpers.subjects import subject

POINTS = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
LABELS = np.arange(60) % 3
NAMES = np.array(["cat", "ant", "bee"])[LABELS]

Write = Callable[..., str]


@pytest.fixture
def table(tmp_path: Path) -> Write:
    def write(text: str, name: str = "points.csv") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def rows(of: np.ndarray, between: str, *columns: np.ndarray) -> str:
    lines = [
        between.join([*map(repr, map(float, point)), *map(str, more)])
        for point, *more in zip(of, *columns, strict=True)
    ]
    return "\n".join(lines) + "\n"


# Tables


@pytest.mark.parametrize("header", [[], ["x", "y"], ["\ufeffx", '"second"']], ids=["none", "plain", "marked, quoted"])
@pytest.mark.parametrize("between", [",", ";", "\t", ", "], ids=["comma", "semicolon", "tab", "comma and space"])
def test_tables_are_read_whatever_their_header_and_delimiter(table, header, between):
    text = rows(POINTS, between)
    data = Points(table(f"{between.join(header)}\n{text}" if header else text))
    np.testing.assert_array_equal(data.points.numpy(), POINTS)
    assert data.labels is None
    assert data.classes == []


def test_blank_lines_and_the_line_ends_of_windows_are_no_points(table, tmp_path):
    (tmp_path / "points.csv").write_bytes(b"1,2\r\n\r\n3,4\r\n\r\n")
    assert Points(str(tmp_path / "points.csv")).points.tolist() == [[1, 2], [3, 4]]


def test_points_on_the_line_are_a_column(table):
    assert Points(table("x\n1.5\n-2e-1\n")).points.tolist() == [[1.5], [-0.20000000298023224]]


@pytest.mark.parametrize(("place", "names"), [(0, "kind,x,y"), (1, "x,kind,y"), (2, "x,y,kind")])
def test_a_column_of_labels_is_named(table, place, names):
    cells = [[f"{x!r}", f"{y!r}"] for x, y in POINTS.astype(float).tolist()]
    for line, name in zip(cells, NAMES, strict=True):
        line.insert(place, name)
    data = Points(table("\n".join([names, *map(",".join, cells)])), labels="kind")
    np.testing.assert_array_equal(data.points.numpy(), POINTS)
    assert data.classes == ["ant", "bee", "cat"]
    assert data.labels is not None
    assert [data.classes[label] for label in data.labels] == NAMES.tolist()


@pytest.mark.parametrize(
    ("labels", "names"), [(LABELS + 9, ["9", "10", "11"]), ([f"0{label}" for label in LABELS], ["00", "01", "02"])]
)
def test_whole_numbers_are_in_their_order_and_other_names_by_the_alphabet(table, labels, names):
    assert Points(table("x,y,kind\n" + rows(POINTS, ",", labels)), labels="kind").classes == names


REFUSED = [
    ("", {}, r"path=.* is empty: write a point a line"),
    ("\n\n", {}, r"path=.* is empty"),
    ("x,y\n", {}, r"path=.* has names of columns and no points"),
    ("1,2\n3\n", {}, r"path=.*: line 2 has 1 value, and line 1 has 2: give all lines as many"),
    ("x,y\n1,2\n\n3,4,5\n", {}, r"line 4 has 3 values, and line 1 has 2"),
    ("1,2\n3,four\n", {}, r"line 2, column 2: 'four' is no number: mend it"),
    ("x,y\n1,2\n3,\n", {}, r"line 3, column y: '' is no number"),
    ("x,1\n1,2\n", {}, r"line 1, column 1: 'x' is no number"),
    ("1,2,cat\n3,4,dog\n", {}, r"line 1, column 3: 'cat' is no number: .*dataset\.labels=…"),
    ("1 2\n3 4\n", {}, r"line 2, column 1 2: '3 4' is no number"),
    ("0,5;1,5\n0,6;1,6\n", {}, r"line 2, column 0,5: '0,6' is no number"),
    ("1,nan\n", {}, r"point 0 of 0 to 0 is not finite: leave it out"),
    ("1,2\n3,-inf\n", {}, r"point 1 of 0 to 1 is not finite"),
    ("1,2\n3,1e39\n", {}, r"point 1 of 0 to 1 is not finite"),
    ("0,1\n3,4\n", {}, r"its first line \(0, 1\) may number the columns or be a point: add a line of names"),
    (",x,y\n0,1,2\n", {}, r"has a column without a name, such as pandas' index: write it with index=False"),
    (",0,1\n0,1,2\n", {}, r"has a column without a name, such as pandas' index"),
    ("x,x\n1,2\n", {}, r"has two columns with the name 'x': rename one"),
    ('x,"y\n1,2\n', {}, r"path=.* cannot be read \(unexpected end of data\)"),
    ("x,y\n1,2\n", {"labels": "knd"}, r"labels=knd is not a column of .*: choose one of x, y"),
    ("1,2\n", {"labels": "kind"}, r"labels=kind is not a column of .*: its first line names no columns: add one"),
    ("kind\ncat\n", {"labels": "kind"}, r"has labels and no numbers: add columns of numbers"),
    ("x,kind\n1,cat\n2,\n", {"labels": "kind"}, r"labels=kind holds an empty label"),
    ("x,y\n1,2\n", {"array": "x"}, r"array=x is for \.npz files"),
    ("x,y\n1,2\n1,3\n", {"standardize": True}, r"standardize=true: column 1 of .* is constant: leave it out"),
    ("x,y\n1,2\n", {"classes": ["a"]}, r"classes=… needs samples with labels"),
]


@pytest.mark.parametrize(("text", "options", "message"), REFUSED, ids=[row[2][:40] for row in REFUSED])
def test_a_table_that_cannot_be_told_is_refused(table, text, options, message):
    with pytest.raises(ValueError, match=message) as refused:
        Points(table(text), **options)
    assert "\n" not in str(refused.value)
    assert re.match(r"(path|array|labels|standardize|classes)=", str(refused.value))


def test_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "points.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match="is not text in UTF-8: save it as such"):
        Points(str(tmp_path / "points.csv"))


# Arrays


def test_arrays_are_read_with_the_labels_beside_them(tmp_path):
    np.save(tmp_path / "x.npy", POINTS)
    np.save(tmp_path / "y.npy", NAMES)
    np.savez(tmp_path / "both.npz", x=POINTS.astype(np.float64), y=NAMES)
    for data in (Points(f"{tmp_path}/x.npy", labels="y.npy"), Points(f"{tmp_path}/both.npz", labels="y")):
        np.testing.assert_array_equal(data.points.numpy(), POINTS)
        assert data.classes == ["ant", "bee", "cat"]
    part = Points(f"{tmp_path}/both.npz", labels="y", classes=["cat"], per_class=5)
    cats = {tuple(point) for point in POINTS[NAMES == "cat"].tolist()}
    assert len({tuple(point) for point in part.points.tolist()} & cats) == len(part) == 5


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (POINTS[0], r"has shape \(2,\): save points as \(n, dimensions\), on the line as \(n, 1\)"),
        (POINTS[:, :0], r"has shape \(60, 0\)"),
        (POINTS[:0], r"has shape|holds no points|cannot be read"),
        (POINTS.reshape(15, 2, 2, 2), r"has shape .*, as images have: choose dataset=array dataset\.path="),
        (POINTS > 0, r"holds values of type bool: save numbers"),
        (POINTS.astype("U"), r"holds values of type <U\d+: save numbers"),
        (np.where(np.arange(60)[:, None] == 7, np.nan, POINTS), r"point 7 of 0 to 59 is not finite"),
    ],
)
def test_an_array_that_holds_no_points_is_refused(tmp_path, array, message):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        Points(f"{tmp_path}/x.npy")


@pytest.mark.parametrize("name", ["none.csv", "none.npy", "none.dat"])
def test_a_file_that_is_not_there_or_is_none_of_ours_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"path=.*{name} does not exist"):
        Points(f"{tmp_path}/{name}")
    (tmp_path / "points.parquet").write_text("PAR1")
    with pytest.raises(ValueError, match=r"is not a file that ends in \.npy, \.npz, \.csv, \.tsv, \.txt"):
        Points(f"{tmp_path}/points.parquet")


# What is drawn


def labelled(table: Write, **options: Any) -> Points:
    return Points(table("x,y,kind\n" + rows(POINTS, ",", NAMES)), labels="kind", **options)


def test_points_are_drawn_with_their_labels_all_as_often(table):
    data = labelled(table)
    batch = data.batch(6000, torch.Generator().manual_seed(0))
    place = {tuple(point): index for index, point in enumerate(POINTS.tolist())}
    drawn = [place[tuple(point)] for point in batch.samples.tolist()]
    assert batch.labels is not None
    assert [data.classes[label] for label in batch.labels] == NAMES[drawn].tolist()
    counts = np.bincount(drawn, minlength=60)
    assert 0.4 < ((counts - 100) ** 2 / 100).sum() / 59 < 1.6, "χ² per degree of freedom is 1 ± 0.18"
    assert torch.equal(batch.samples, data.sample(6000, torch.Generator().manual_seed(0)))


def test_standardized_points_have_mean_0_and_deviation_1_and_are_else_the_same(table):
    far = POINTS * np.array([40, 0.01]) + np.array([7, -3])
    data = Points(table("x,y\n" + rows(far, ",")), standardize=True).points.double()
    torch.testing.assert_close(data.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(data.std(0, correction=0), torch.ones(2).double(), atol=1e-5, rtol=0)
    np.testing.assert_allclose(data.numpy() * far.std(0) + far.mean(0), far, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("scale", "warned"), [(1, 0), (5, 0), (0.2, 0), (50, 1), (0.01, 1)])
def test_a_scale_far_from_1_is_remarked_on(table, scale, warned, caplog):
    with caplog.at_level(logging.WARNING):
        Points(table("x,y\n" + rows(POINTS * scale, ",")))
    assert sum("dataset.standardize=true" in text for text in caplog.messages) == warned


def test_the_fingerprint_tells_points_and_classes_apart(table):
    whole, text = labelled(table), rows(POINTS, ",")
    assert whole.fingerprint() == labelled(table).fingerprint()
    others = [
        labelled(table, classes=["cat", "ant", "bee"]),
        Points(table(text)),
        Points(table(text.replace("1", "2"))),
    ]
    assert len({data.fingerprint() for data in (whole, *others)}) == 4


# In the rest of the program


def test_the_floor_is_between_two_halves_without_a_point_in_common(table):
    data = Points(table(rows(POINTS, ",")))
    first, second = subject(data, torch.zeros(1, 2)).pair(1000)
    assert len(first) == len(second) == 30
    assert len({tuple(point) for part in (first, second) for point in part.raw.tolist()}) == 60


def test_copies_of_all_points_are_at_no_distance_and_others_are(table):
    data = Points(table(rows(POINTS, ",")))
    measure = SlicedWasserstein(samples=1000, projections=50)
    copies = measure(subject(data, torch.from_numpy(POINTS)))["sliced_wasserstein"]
    assert copies.value == pytest.approx(0, abs=1e-6)
    assert copies.real is not None
    assert copies.real > 0.05
    moved = measure(subject(data, torch.from_numpy(POINTS) + torch.tensor([3.0, 0])))["sliced_wasserstein"]
    assert moved.value == pytest.approx(3 * 2 / np.pi, rel=0.2)  # the mean of |cos|


def test_one_point_is_too_few_to_measure(table):
    with pytest.raises(ValueError, match="needs 2 points or more, and there are 1"):
        SlicedWasserstein(samples=10, projections=5).check(Points(table("1,2\n")))


@pytest.mark.parametrize("metric", ["exact", "modes"])
def test_what_needs_a_density_says_so(table, metric):
    with pytest.raises(Exception, match=rf"metric\.{metric}: needs .*: choose dataset=.*ring") as refused:
        assemble(compose("dataset=points", f"dataset.path={table(rows(POINTS, ','))}", f"metric=[{metric}]"))
    assert "points" not in str(refused.value).partition("choose dataset=")[2]


def test_the_gate_names_points_among_the_data_of_a_metric_of_points(inside: Command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = inside("gan-train", "dataset=mnist5k", "metric=[sliced_wasserstein]")
    assert refused.code == 2
    assert "points" in refused.err.partition("choose dataset=")[2]
    assert "points" in options("dataset")
    refused = inside("gan-divergence", "exact", "points", "ring")
    assert "points has no density: choose a toy: " in refused.err


def test_a_run_resumes_bit_for_bit(table, tmp_path):
    path = table("x,y,kind\n" + rows(POINTS, ",", NAMES))
    chosen = ["dataset=points", f"dataset.path={path}", "dataset.labels=kind", "model.conditional=true"]
    assert_resumes_exactly(3, tmp_path, *TINY, *chosen)


@pytest.mark.thorough
def test_a_game_of_labelled_points_is_drawn_measured_and_sampled(inside: Command, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path(table("x,y,kind\n" + rows(POINTS, ",", NAMES)))
    command = ["gan-train", "dataset=points", f"dataset.path={path}", "dataset.labels=kind", "train.steps=2", "name=a"]
    command += ["model.conditional=true", "train.batch_size=100"]
    finished = inside(*command)
    assert finished.code == 0, finished.err
    known = record(tmp_path / "outputs" / "a")
    assert list(known["classes"]) == ["ant", "bee", "cat"]
    assert known["final"]["sliced_wasserstein"] > 0
    assert (tmp_path / "outputs" / "a" / "samples.png").read_bytes().startswith(b"\x89PNG")

    measured = inside("gan-eval", "outputs/a", "--n", "2000")
    assert measured.code == 0, measured.err
    found = {receipt["metric"]: receipt for receipt in read.receipts(tmp_path / "outputs" / "a")}
    assert found["frechet"]["samples"] == {"generated": 2000, "real": 60, "held_out": 30}
    assert found["sliced_wasserstein"]["samples"] == {"generated": 60, "real": 60, "held_out": 30}
    assert "density" in found["exact"]["refused"]

    for out in ("bees.npy", "bees.png"):
        sampled = inside("gan-sample", "outputs/a", "--class", "bee", "-n", "7", "--out", out)
        assert sampled.code == 0, sampled.err
    assert np.load(tmp_path / "bees.npy").shape == (7, 2)

    path.write_text(path.read_text().replace("cat", "dog", 1))
    before = tree(tmp_path / "outputs")
    refused = inside(*command, "train.steps=4")
    assert refused.code == 2
    (line,) = refused.err.splitlines()
    assert "other data" in line
    assert tree(tmp_path / "outputs") == before
