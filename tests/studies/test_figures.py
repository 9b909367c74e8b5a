"""The figures of the studies draw the numbers that the studies find."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.divergences.penalties import R1, NoPenalty, Penalty
from gan_cli.divergences.wasserstein import Wasserstein
from gan_cli.exact.best_fit import Fit
from gan_cli.studies import dirac_figures, fgan_univariate
from gan_cli.studies.dirac_game import DiracGame, behaviour
from gan_cli.studies.fgan_univariate import Row
from gan_cli.studies.js_saturation import JensenShannonSaturation
from gan_cli.studies.optimal_discriminator import OptimalDiscriminator
from gan_cli.studies.weight_clipping import WeightClipping, weights
from tests.helpers import figures
from tests.helpers.configs import compose


def member(*overrides: str):
    """An untrained member of a study."""
    return assemble(compose("metric=[]", "train.generator=frozen", "train.batch_size=16", *overrides))


def concluded(study, members):
    """What the study finds, and its figures."""
    found = []
    drawn = figures.all_caught(lambda: found.append(study.conclude(members)))
    return found[0].numbers, drawn


def gaussian(x, mean, deviation):
    return np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))


def test_js_saturation_draws_divergences_and_gradients_against_the_distance():
    members = {
        f"{divergence} {theta}": member(
            "dataset=parallel_lines", "model=line", f"divergence={divergence}", f"model.generator.position={theta}"
        )
        for divergence in ("gan", "wgan_gp")
        for theta in (-1.0, 0.5)
    }
    numbers, (figure,) = concluded(JensenShannonSaturation({}), members)
    assert numbers["theta"] == [-1.0, 0.5]
    values, gradients = (figures.lines(axes) for axes in figure.axes)
    for shown, names, seen in (
        (
            values,
            {"W₁, learned (dashed: |θ|)": "wasserstein", "JS, learned (dashed: log 2)": "jensen_shannon"},
            np.array,
        ),
        (
            gradients,
            {
                "W₁": "wasserstein_gradient",
                "non-saturating GAN": "non_saturating_gradient",
                "minimax GAN": "minimax_gradient",
            },
            np.abs,
        ),
    ):
        assert shown.keys() == names.keys()
        for legend, name in names.items():
            np.testing.assert_allclose(shown[legend], [numbers["theta"], seen(numbers[name])])
    distance, saturated = (line for line in figure.axes[0].lines if line.get_linestyle() == "--")
    np.testing.assert_array_equal(distance.get_data(), [[-1, 0, 0.5], [1, 0, 0.5]])
    assert list(saturated.get_ydata()) == [math.log(2)] * 2


def test_the_discriminator_is_drawn_beside_the_best_one():
    of = member("dataset=mixture1d", "model=gaussian", "divergence=gan")
    numbers, (figure,) = concluded(OptimalDiscriminator({}), {"critic": of})
    (axes,) = figure.axes
    assert axes.get_title() == f"critic: mean |D − p/(p + q)| = {numbers['critic']['mean_absolute_error']:.4f}"
    shown = figures.lines(axes)
    x, best = shown["p/(p + q)"]
    generator = of.state.generator
    q = gaussian(x, generator.mean.item(), generator.deviation.item())
    p = of.dataset.log_density(torch.tensor(x, dtype=torch.float64)[:, None]).exp().numpy()
    np.testing.assert_allclose(best, p / (p + q), rtol=1e-4)
    with torch.no_grad():
        learned = of.state.critic(torch.tensor(x)[:, None]).sigmoid()
    np.testing.assert_allclose(shown["D = σ(v), learned"][1], learned, rtol=1e-5)


def test_f_gans_fits_are_drawn_as_densities_learned_and_best():
    of = member("dataset=mixture1d", "dataset.means=[-9,30]", "model=gaussian", "divergence=kl")
    row = Row(exact=0.2, bound=0.1, best_mean=1.0, mean=1.5, best_deviation=1.8, deviation=0.7)
    figure: Any = fgan_univariate._figure({"kl": of}, {"kl": row}, {"kl": [Fit(1.0, 1.8, 0.2), Fit(5.0, 2.0, 0.2)]})
    (axes,) = figure.axes
    best, second, learned = axes.lines
    assert [line.get_linestyle() for line in axes.lines] == ["--", "--", "-"]
    for line, mean, deviation in ((best, 1.0, 1.8), (second, 5.0, 2.0), (learned, 1.5, 0.7)):
        x, density = line.get_data()
        np.testing.assert_allclose(density, gaussian(np.asarray(x), mean, deviation), rtol=1e-6, atol=1e-300)
    assert learned.get_label() == "kl: μ̂ 1.50, σ̂ 0.70"
    # The data fall to a thousandth of their peak, which is that of N(−9, 0.255²).
    assert (x[0], x[-1]) == pytest.approx((-9.948, 34.857), abs=0.02)
    # The data are an area, whose outline is their density.
    (outline,) = axes.collections[0].get_paths()
    x, y = outline.vertices.T
    expected = of.dataset.log_density(torch.tensor(x)[:, None]).exp().numpy()
    np.testing.assert_allclose(y[y > 0], expected[y > 0], rtol=1e-6)
    assert (y > 0).sum() > 500


def test_weight_clipping_draws_surfaces_weights_and_gradients():
    noisy = ("model=noisy_data", "dataset=ring")
    members = {
        "clip": member(*noisy, "model.critic.hidden=[8]", "divergence=wgan_clip"),
        "deep": member(*noisy, "model.critic.hidden=[8,8,8]", "divergence=wgan_gp"),
    }
    numbers, (surfaces, layers) = concluded(WeightClipping({}), members)
    (axes,) = surfaces.axes
    assert axes.get_title().startswith(f"clip\n{numbers['clip']['peaks']} of 8 modes are peaks, ")
    real = sampling.real_points(members["clip"].dataset, 2000, 0, torch.device("cpu")).samples
    np.testing.assert_allclose(axes.collections[-1].get_offsets(), real)
    filled = axes.collections[0]
    with torch.no_grad():
        reach = axes.get_xlim()[1]
        side = torch.linspace(-reach, reach, 150)
        scores = members["clip"].state.critic(torch.cartesian_prod(side, side))
    assert (filled.zmin, filled.zmax) == pytest.approx((scores.min().item(), scores.max().item()), rel=1e-4)

    histogram, norms = layers.axes
    of_critic = weights(members["clip"].state.critic)
    bars = histogram.patches
    inside = of_critic.abs() <= bars[-1].get_x() + bars[-1].get_width()
    assert sum(bar.get_height() for bar in bars) == pytest.approx(inside.sum().item(), abs=1)
    ((label, (layer, norm)),) = figures.lines(norms).items()
    assert label == f"deep: × {numbers['deep']['growth']:.2g} a layer"
    np.testing.assert_array_equal(layer, [1, 2, 3, 4])
    np.testing.assert_array_equal(norm, numbers["deep"]["gradient_norms"])


def test_the_dirac_gans_paths_and_verdicts_are_those_of_its_games():
    of_columns: dict[str, dict[str, Penalty]] = {
        "wgan": {"none": NoPenalty(), "r1": R1(0.3)},
        "other": {"none": R1(3.0), "r1": R1(1.0)},
    }
    games = {
        row: {name: DiracGame(Wasserstein(penalty=penalty)) for name, penalty in columns.items()}
        for row, columns in of_columns.items()
    }
    found = {row: {name: behaviour(game, 0.1, 30, 1.0) for name, game in of.items()} for row, of in games.items()}
    cells = [(row, column) for row in games for column in games[row]]
    assert len({found[row][column].verdict for row, column in cells}) > 1

    figure = figures.caught(lambda: dirac_figures.paths(games, found, reach=1.9))
    for axes, (row, column) in zip(figure.axes, cells, strict=True):
        of, colour = found[row][column], dirac_figures.COLOURS[found[row][column].verdict]
        path, start, equilibrium = axes.lines
        np.testing.assert_array_equal(path.get_data(), of.path.T)
        assert path.get_color() == start.get_color() == colour
        assert (start.get_xydata().tolist(), equilibrium.get_xydata().tolist()) == ([[1.0, 1.0]], [[0.0, 0.0]])
        assert axes.get_title() == f"{of.measured['alternating']:.4f}"
        (arrows,) = axes.collections
        field = np.array([games[row][column].field(tuple(place)) for place in arrows.get_offsets().tolist()])
        field /= np.linalg.norm(field, axis=1, keepdims=True)
        np.testing.assert_allclose(np.stack([arrows.U, arrows.V], 1), field, atol=1e-9)

    (axes,) = figures.caught(lambda: dirac_figures.verdicts(found)).axes
    texts = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    for area, (row, column) in zip(axes.collections, cells, strict=True):
        place = (list(games[row]).index(column), list(games).index(row))
        assert texts[place] == f"{found[row][column].measured['alternating']:.4f}"
        assert tuple(area.get_facecolor()[0][:3]) == to_rgb(dirac_figures.COLOURS[found[row][column].verdict])
        np.testing.assert_allclose(area.get_paths()[0].get_extents().intervalx.mean(), place[0], atol=1e-9)
        np.testing.assert_allclose(area.get_paths()[0].get_extents().intervaly.mean(), place[1], atol=1e-9)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["none", "r1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["wgan", "other"]
