"""What the study of attacked critics finds of critics that are known, and how it draws that."""

import numpy as np
import pytest
import torch
from torch import nn

from gan_cli.assembly.games import assemble
from gan_cli.jobs import GameJob
from gan_cli.models.base import Critic
from gan_cli.studies.critic_robustness import CriticRobustness
from tests.helpers import figures
from tests.helpers.configs import TINY, compose

SMALL = (
    "dataset=mnist5k",
    "dataset.resolution=8",
    "dataset.per_class=6",
    "model.generator.width=4",
    "model.critic.width=4",
    "train.batch_size=8",
    "metric=[]",
)
PIXELS = 64


class Brightness(Critic):
    """The slope times the sum of all pixels but for the sign, which makes generated images, all grey, score lower."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return -self.slope * x.flatten(1).sum(1)


def member(slope: float, *overrides: str) -> GameJob:
    """An untrained game whose critic has this slope along each pixel."""
    job = assemble(compose(*SMALL, *overrides))
    job.state.critic = Brightness(slope)
    return job


def study(epsilon: float = 0.05) -> CriticRobustness:
    return CriticRobustness({}, epsilon=epsilon, steps=2, samples=40)


@pytest.fixture(scope="module")
def concluded():
    members = {
        "none": member(0.5, "divergence/penalty=none"),
        "interpolate": member(0.125, "divergence/penalty=interpolate"),
        "r1_r2": member(0.25, "divergence/penalty=r1_r2"),
    }
    found = []
    figure = figures.caught(lambda: found.append(study().conclude(members)))
    return found[0], figure


def test_a_critic_of_brightness_has_the_slopes_and_movements_of_the_closed_form(concluded):
    """Its gradient is √64 times its slope everywhere; grey images move by 2ε of that until they leave the range."""
    numbers = concluded[0].numbers
    for name, slope in (("none", 0.5), ("interpolate", 0.125), ("r1_r2", 0.25)):
        of = numbers[name]
        steepest = slope * PIXELS**0.5
        assert of["gradient"] == pytest.approx(dict.fromkeys(("real", "generated", "between"), steepest), rel=1e-5)
        assert of["gap"] > 0
        assert of["epsilon"] == [0.0125, 0.025, 0.05, 0.1, 0.2]
        expected = [2 * epsilon * steepest / of["gap"] for epsilon in of["epsilon"]]
        assert of["moved"]["generated"] == pytest.approx(expected, rel=1e-4)
        assert of["slope"]["generated"] == pytest.approx([steepest] * 5, rel=1e-4)
        # Black pixels, of which digits have most, get brighter; white ones cannot.
        assert all(0 < moved <= most * 1.001 for moved, most in zip(of["moved"]["real"], expected, strict=True))
    # In gaps a factor on the scores does not matter.
    assert numbers["none"]["moved"]["real"] == pytest.approx(numbers["r1_r2"]["moved"]["real"], rel=1e-4)


def test_the_table_has_each_slope_beside_its_promise(concluded):
    head, *rows, legend = concluded[0].table.splitlines()
    assert head.split()[:6] == ["gap", "slope", "real", "generated", "between", "promised"]
    assert [row.split()[0] for row in rows] == ["none", "interpolate", "r1_r2"]
    assert [row.split()[2:5] for row in rows] == [["4"] * 3, ["1"] * 3, ["2"] * 3]
    assert ["–" in rows[0], "1 between" in rows[1], "0 real, generated" in rows[2]] == [True] * 3
    assert "ε = 0.05" in legend


def test_the_figure_draws_what_is_found(concluded):
    findings, figure = concluded
    slopes, moves, passes = figure.axes
    assert [bar.get_height() for bar in slopes.patches] == pytest.approx([4.0] * 3 + [1.0] * 3 + [2.0] * 3, rel=1e-5)
    promised = [line.get_segments()[0] for line in slopes.collections]
    assert [(segment[:, 0].mean(), segment[0, 1]) for segment in promised] == [
        (pytest.approx(1.25), 1.0),
        (pytest.approx(1.75), 0.0),
        (pytest.approx(2.0), 0.0),
    ]
    for index, of in enumerate(findings.numbers.values()):
        for line, side in zip(moves.lines[2 * index : 2 * index + 2], ("real", "generated"), strict=True):
            np.testing.assert_allclose(line.get_data(), [of["epsilon"], of["moved"][side]])
    for name, (place, shares) in figures.lines(passes).items():
        of = findings.numbers[name]
        np.testing.assert_allclose(place, [0, *of["epsilon"]])
        np.testing.assert_allclose(shares, [100 * of["passed_before"], *(100 * share for share in of["passed"])])


def test_the_study_leaves_its_members_as_they_are():
    job = assemble(compose(*SMALL))
    before = job.state.fingerprint()
    study().conclude({"run": job})
    assert job.state.fingerprint() == before
    assert all(parameter.grad is None for parameter in job.state.critic.parameters())


def test_the_study_is_of_images():
    with pytest.raises(ValueError, match="ring must have images"):
        study().check({"ring": assemble(compose(*TINY))})


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
def test_the_study_runs_by_its_command(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["dataset.resolution=8", "train.steps=2", "train.batch_size=8", "study.samples=20", "name=study"]
    finished = inside("gan-train", "experiment=critic_robustness", *small)
    assert finished.code == 0, finished.err
    assert (tmp_path / "outputs" / "study" / "critic_robustness.png").exists()
    for wrong, message in (("study.epsilon=0", "study.epsilon=0"), ("study.samples=0", "study.samples=0")):
        refused = inside("gan-train", "experiment=critic_robustness", *small, wrong, "name=other")
        assert (refused.code, message in refused.err) == (2, True)
        assert not (tmp_path / "outputs" / "other").exists()
