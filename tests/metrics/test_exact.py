"""The truth that a run logs beside its estimate."""

import math

import pytest
import torch

from gan_cli.datasets.mixtures import Gaussian, Mixture1d, ParallelLines, Ring
from gan_cli.divergences.base import Divergence
from gan_cli.exact.densities import between
from gan_cli.metrics.base import flat
from gan_cli.metrics.exact import ExactDivergence
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.samples import RealSamples
from gan_cli.metrics.subject import Players
from gan_cli.models.mlp import Critic, Generator
from gan_cli.models.toys import GaussianGenerator, LineGenerator
from gan_cli.runs import read
from gan_cli.runs.folder import RunFolder
from tests.helpers.configs import TINY, divergence
from tests.helpers.runs import metrics, record, train

LINE = Mixture1d([-1.0, 2.0], [0.255, 1.414], [0.33, 0.67])


def subject(dataset, generator, of: Divergence, critic=None) -> Players:
    torch.manual_seed(0)
    shape = dataset.sample_shape
    critic = critic or Critic(shape, hidden=[16], activation="tanh", normalization="none")
    real = RealSamples(dataset, Raw(), seed=0, device=torch.device("cpu"))
    return Players(real, 0, generator, generator, critic, of)


def measured(samples: int, of: Players) -> dict[str, float]:
    return flat(ExactDivergence(samples)(of))


class LogRatio(torch.nn.Module):
    """The best critic of the original GAN."""

    conditional = False
    packing = 1

    def __init__(self, p, q):
        super().__init__()
        self.p, self.q = p, q

    def forward(self, x):
        return self.p.log_density(x) - self.q.log_density(x)


def test_a_generator_of_known_density_has_an_exact_value_without_error():
    of, generator = divergence("kl"), GaussianGenerator((1,), mean=1.0, deviation=1.8)
    numbers = measured(5000, subject(LINE, generator, of))
    assert numbers["exact"] == pytest.approx(between(of, LINE, Gaussian([1.0], 1.8)), rel=1e-6)
    assert numbers["exact_error"] < 1e-9


def test_another_generator_has_an_estimated_one():
    torch.manual_seed(1)
    generator = Generator((1,), 2, "normal", hidden=[16], activation="relu", normalization="none")
    numbers = measured(20_000, subject(LINE, generator, divergence("js")))
    assert 0 < numbers["exact"] < 2 * math.log(2)
    assert 0 < numbers["exact_error"] < 0.4


def test_the_best_critic_reaches_the_exact_value_within_its_error_and_no_other_exceeds_it():
    of, generator = divergence("gan"), GaussianGenerator((1,), mean=1.0, deviation=1.8)
    best = LogRatio(LINE, Gaussian([1.0], 1.8))
    numbers = measured(100_000, subject(LINE, generator, of, best))
    error = numbers["held_out_estimate_error"]
    assert 5e-4 < error < 5e-3
    assert numbers["held_out_estimate"] == pytest.approx(numbers["exact"], abs=4 * error)
    untrained = measured(100_000, subject(LINE, generator, of))
    assert untrained["held_out_estimate"] < untrained["exact"] - 10 * untrained["held_out_estimate_error"]


def test_the_distance_of_a_wasserstein_divergence_is_that_of_transport():
    generator = GaussianGenerator((2,), mean=3.0, deviation=1.0)
    numbers = measured(4000, subject(Gaussian([0.0, 0.0], 1.0), generator, divergence("wgan_gp")))
    assert numbers["exact"] == pytest.approx(math.hypot(3, 3), abs=numbers["exact_error"])
    assert numbers["exact_error"] < 0.4
    assert numbers["exact_error"] > 0.05
    clipped = measured(4000, subject(Gaussian([0.0, 0.0], 1.0), generator, divergence("wgan_clip")))
    assert "exact" not in clipped
    assert "held_out_estimate" in clipped


@pytest.mark.parametrize("name", ["wgan_gp", "wgan_lp"])
def test_the_distance_has_no_error_on_the_line_and_between_lines(name):
    of = divergence(name)
    shifted = measured(1000, subject(Gaussian([0.0], 1.0), GaussianGenerator((1,), mean=3.0, deviation=1.0), of))
    lines = measured(1000, subject(ParallelLines(0.0), LineGenerator((2,), -0.5), of))
    assert shifted["exact"] == pytest.approx(3)
    assert lines["exact"] == pytest.approx(0.5)
    assert shifted["exact_error"] < 1e-9
    assert lines["exact_error"] == 0


@pytest.mark.parametrize(("name", "value"), [("kl", math.inf), ("js", 2 * math.log(2))])
def test_lines_apart_have_an_infinite_kl_and_a_finite_js(name, value):
    numbers = measured(1000, subject(ParallelLines(0.0), LineGenerator((2,), 0.5), divergence(name)))
    assert numbers["exact"] == pytest.approx(value)


def test_an_infinite_value_survives_the_run_and_its_files(tmp_path):
    overrides = ["dataset=parallel_lines", "model=line", "divergence=kl", "metric=exact", "train.steps=2"]
    folder = train(tmp_path / "run", *overrides)
    (line,) = metrics(folder)
    assert line["exact"] == "Infinity"
    assert read.metrics(folder)[0]["exact"] == math.inf
    assert record(folder)["final"]["exact"] == "Infinity"


def test_numbers_that_are_not_finite_are_written_as_text_and_read_again(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics({"step": 1, "exact": math.inf, "held_out_estimate": -math.inf, "error": math.nan})
    assert '"-Infinity"' in (tmp_path / "metrics.jsonl").read_text()
    (line,) = read.metrics(tmp_path)
    assert (line["exact"], line["held_out_estimate"]) == (math.inf, -math.inf)
    assert math.isnan(line["error"])


@pytest.mark.thorough
@pytest.mark.parametrize("dataset", ["ring", "grid", "mixture1d", "gaussian"])
def test_toys_are_measured_without_being_asked(dataset, tmp_path):
    tiny = [word for word in TINY if not word.startswith(("dataset", "metric"))]
    folder = train(tmp_path / "run", f"dataset={dataset}", *tiny, "train.steps=1", "metric.exact.samples=2000")
    final = record(folder)["final"]
    assert {"estimate", "exact", "exact_error", "held_out_estimate"} <= final.keys()


def test_images_have_no_exact_divergence(inside):
    finished = inside("gan-train", "metric=exact", "train.steps=1")
    assert finished.code == 2
    assert "metric.exact: needs data with a known density" in finished.err


def test_curves_show_the_truth_beside_the_estimate_even_where_it_is_infinite():
    from gan_cli.show import pictures

    lines = [{"step": step, "estimate": 0.1 * step} for step in range(1, 4)]
    plain = pictures.curves(lines, "nats")
    truths = [(0.5, 0.01), (1e12, 1e11), (math.inf, 0.0)]
    with_truth = [line | {"exact": e, "exact_error": s} for line, (e, s) in zip(lines, truths, strict=True)]
    assert pictures.curves(with_truth, "nats") != plain
    assert pictures.curves(with_truth[2:], "nats") != pictures.curves(lines[2:], "nats")


@pytest.mark.parametrize("too_fine", ["dataset.deviation=1e-3", "model.generator.deviation=1e-9"])
def test_a_run_goes_on_where_no_quadrature_resolves_its_data_or_its_generator(too_fine, tmp_path, caplog):
    data = "dataset=gaussian" if "model" in too_fine else "dataset=ring"
    still = ["optimizer.generator.lr=1e-12", "train.steps=1", "train.batch_size=8"]
    final = record(train(tmp_path / "run", data, "model=gaussian", too_fine, "metric=[exact]", *still))["final"]
    assert "held_out_estimate" in final
    assert "exact" not in final
    assert "no exact divergence" in caplog.text


def test_points_of_three_dimensions_are_refused_and_of_two_are_not():
    with pytest.raises(ValueError, match="one or two dimensions"):
        ExactDivergence(samples=1000).check(Gaussian([0.0] * 3, 1.0))
    ExactDivergence(samples=1000).check(Ring(8, 2.0, 0.02))


def test_a_gaussian_that_has_shrunk_to_a_point_has_no_density():
    generator = GaussianGenerator((1,), mean=1.0, deviation=1.8)
    assert generator.density() is not None
    with torch.no_grad():
        generator.deviation.zero_()
    assert generator.density() is None
