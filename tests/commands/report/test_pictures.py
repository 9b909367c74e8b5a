"""gan-report's pictures and curves: what they show, their size, their scale, what is left out."""

import base64
import io
import math
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from gan_cli.commands.report import curves, page, samples
from gan_cli.commands.report.report import make
from tests.helpers import synthetic_runs as synthetic


def embedded(uri: str) -> np.ndarray:
    """The pixels behind a data URI."""
    head, _, data = uri.partition(",")
    assert head == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def original(png: bytes, size: tuple[int, int], resampling: Image.Resampling) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB").resize(size, resampling), dtype=int)


def test_a_grid_of_pixels_travels_at_the_size_of_its_pixels_and_without_loss(tmp_path):
    png = synthetic.digits(0)
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: png})]).rows]
    ((picture,),) = samples.pictures([run])
    assert (picture.step, picture.width, picture.height, picture.is_pixels) == (1, 242, 242, True)
    np.testing.assert_array_equal(embedded(picture.uri), original(png, (242, 242), Image.Resampling.NEAREST))


def test_a_plot_is_scaled_down_and_still_seen(tmp_path):
    png = synthetic.points(0)
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: png})]).rows]
    ((picture,),) = samples.pictures([run])
    size = samples.WIDTH, samples.WIDTH
    assert (picture.width, picture.height, picture.is_pixels) == (*size, False)
    expected = original(png, size, Image.Resampling.LANCZOS)
    lost = np.abs(embedded(picture.uri) - expected).mean()
    assert 0 < lost < 0.2 * np.abs(expected - 255).mean()  # of a white picture


def test_pictures_of_a_run_are_evenly_spaced_from_the_first_to_the_last(tmp_path):
    pictures = {step: synthetic.digits(step) for step in range(10, 210, 10)}
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures=pictures)]).rows]
    (shown,) = samples.pictures([run])
    steps = [picture.step for picture in shown]
    assert (len(steps), steps[0], steps[-1]) == (samples.A_RUN[1], 10, 200)
    assert {after - before for before, after in pairwise(steps)} == {10, 20}
    for picture in (shown[0], shown[-1]):
        expected = original(pictures[picture.step], (242, 242), Image.Resampling.NEAREST)
        assert np.abs(embedded(picture.uri) - expected).mean() < 20


@pytest.mark.parametrize("size", [(1, 1), (16, 2), (600, 40), (2000, 3000)])
def test_pictures_of_any_size_are_embedded(tmp_path, size):
    buffer = io.BytesIO()
    Image.new("L", size, 7).save(buffer, format="png")
    (run,) = [row.run for row in make([synthetic.write(tmp_path / "a", pictures={1: buffer.getvalue()})]).rows]
    assert [len(of_run) for of_run in samples.pictures([run])] == [1]
    assert run.problems == []


@pytest.mark.thorough
@pytest.mark.parametrize("draw", [synthetic.digits, synthetic.points])
def test_twenty_runs_fit_in_five_megabytes(tmp_path, draw):
    pictures = {step: draw(step) for step in range(100, 900, 100)}
    for seed in range(20):
        lines = [
            line | {name: number * 1.2345 for name, number in line.items() if name not in ("step", "seconds")}
            for line in synthetic.metrics(range(1, 402), math.pi + seed)
        ]
        synthetic.write(tmp_path / str(seed), seed=seed, lines=lines, pictures=pictures, receipts=[synthetic.receipt()])
    html = page.html(make([tmp_path]))
    assert html.count('src="data:image/webp') == 160
    assert len(html.encode()) < 5_000_000


def test_marks_are_explained_where_there_are_several(tmp_path):
    synthetic.write(tmp_path / "a", lines=synthetic.metrics())
    synthetic.write(tmp_path / "b", "kl", lines=synthetic.metrics(exact=1.0))
    sections = curves.by_divergence([row.run for row in make([tmp_path]).rows])
    assert [list(section.panels[0].marks) for section in sections] == [[], ["line", "dots"]]
    assert not any(section.panels[0].name in section.panels[0].marks.values() for section in sections)


def test_thinning_keeps_the_ends_and_the_extremes():
    values = [math.sin(step / 7) for step in range(1000)]
    values[500], values[501], values[777] = 99.0, -99.0, math.inf
    kept = curves.thinned(values, 100)
    assert len(kept) <= 100
    assert {0, 500, 501, 777, 999} <= set(kept)
    assert curves.thinned(values, 1000) == list(range(1000))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.0, 2.0, 50.0], "linear"),
        ([0.1, 1.0, 100.0], "log"),
        ([-1.0, 0.0, 1.0, -2.0, 1.0, 1000.0], "symlog"),
        ([0.0, 1.0, 8.0], "linear"),
        ([math.inf, math.nan], "linear"),
        ([0.0, 0.0], "linear"),
    ],
)
def test_the_scale_fits_the_values(values, kind):
    assert curves.scale(values)["kind"] == kind
