"""The study of mode collapse: what it says of generators whose samples are known, and of a tiny run by its command."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_cli.assembly.games import assemble
from gan_cli.datasets.mixtures import Ring
from gan_cli.jobs import GameJob
from gan_cli.studies.base import Members
from gan_cli.studies.mode_collapse import APART, Course, ModeCollapse, hops, moments
from tests.helpers import figures
from tests.helpers.configs import TINY, compose
from tests.helpers.runs import record
from tests.helpers.subjects import Replay

MEANS = Ring(8, 2.0, 0.02).means.float()


class Told(Members):
    """Members whose generators give what they are told, checkpoint after checkpoint."""

    def __init__(self, told: Mapping[str, Mapping[int, Tensor]]) -> None:
        self.told = told

    def __getitem__(self, name: str) -> GameJob:
        return assemble(compose(*TINY))

    def __iter__(self) -> Iterator[str]:
        return iter(self.told)

    def __len__(self) -> int:
        return len(self.told)

    def over_time(self, name: str) -> Iterator[GameJob]:
        job = self[name]
        for step, samples in self.told[name].items():
            job.state.step, job.state.average = step, Replay(samples)
            yield job


def on(*modes: int) -> Tensor:
    return MEANS[list(modes)]


def test_collapse_is_told_from_coverage():
    collapsed = {10: on(3), 20: on(5), 30: on(5), 40: on(5) + 0.5}
    healthy = {10: on(*range(8)) + torch.tensor([0.059, 0.0]), 20: on(0, 0, 0, 1)}
    members = Told({"collapsed": collapsed, "healthy": healthy})
    findings = []
    curves, grid = figures.all_caught(lambda: findings.append(ModeCollapse({}).conclude(members)))
    numbers = findings[0].numbers
    assert numbers["collapsed"] == {
        "steps": [10, 20, 30, 40],
        "modes": [1, 1, 1, 0],
        "good": [1.0, 1.0, 1.0, 0.0],
        "fullest": [3, 5, 5, 5],
        "fullest_share": [1.0] * 4,
        "hops": 1,
    }
    assert numbers["healthy"]["modes"] == [8, 2]
    assert numbers["healthy"]["good"] == [1.0, 1.0]
    assert numbers["healthy"]["fullest_share"] == pytest.approx([0.125, 0.75], abs=1e-3)

    found, share = (figures.lines(axes) for axes in curves.axes)
    np.testing.assert_array_equal(found["collapsed"], [[10, 20, 30, 40], [1, 1, 1, 0]])
    np.testing.assert_array_equal(share["healthy"], [[10, 20], numbers["healthy"]["fullest_share"]])
    # Curves that coincide are drawn beside each other, and steps are whole.
    first, second = (line.get_transform().transform((10, 1)) for line in curves.axes[0].lines)
    np.testing.assert_allclose(second - first, [0, APART / 72 * curves.dpi], atol=1e-9)
    assert all(tick == round(tick) for axes in curves.axes for tick in axes.get_xticks())
    panels = [axes for axes in grid.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [f"step {step}" for step in (10, 20, 30, 40, 10, 20)]
    modes, samples = panels[1].collections
    np.testing.assert_allclose(modes.get_offsets(), MEANS)
    np.testing.assert_allclose(np.unique(samples.get_offsets(), axis=0), on(5))


def test_moments_are_evenly_spaced_and_end_with_the_last():
    assert moments([5, 9]) == [5, 9]
    assert moments(list(range(1, 13))) == [2, 4, 7, 9, 12]
    assert moments(list(range(250, 5001, 250))) == [1000, 2000, 3000, 4000, 5000]


def test_hops_are_those_of_most_of_the_samples():
    assert hops(Course(fullest=[1], fullest_share=[1.0])) == 0
    assert hops(Course(fullest=[1, 1, 2, 2, 1], fullest_share=[0.9, 0.8, 0.7, 0.6, 0.51])) == 2
    assert hops(Course(fullest=[1, 2, 1, 2], fullest_share=[0.13, 0.9, 0.5, 0.9])) == 0


@pytest.mark.thorough
@pytest.mark.usefixtures("undrawn")
def test_the_command_looks_at_every_checkpoint_that_is_kept(inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["train.steps=6", "every.checkpoint=2", "train.batch_size=8", "name=study"]
    small += ["model.generator.hidden=[8]", "model.critic.hidden=[8]"]
    finished = inside("gan-train", "experiment=mode_collapse", *small)
    assert finished.code == 0, finished.err
    final = record(tmp_path / "outputs" / "study")["final"]
    assert {"non_saturating", "minimax", "averaged", "packing_2", "packing_4", "r1_r2", "wgan_gp"} == final.keys()
    assert all(course["steps"] == [2, 4, 6] for course in final.values())
    # The average is of the same run, and another picture of it.
    members = tmp_path / "outputs" / "study" / "members"
    raw, averaged = (record(members / name)["final"]["estimate"] for name in ("non_saturating", "averaged"))
    assert raw == averaged


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["experiment=mode_collapse", "dataset=swiss_roll"], "must have data with modes in the plane"),
        (["experiment=mode_collapse", "dataset=mixture1d"], "must have data with modes in the plane"),
        (["experiment=mode_collapse", "train.steps=5001"], "saves 21 checkpoints and keeps 20: give every.keep=21"),
        (["experiment=optimal_discriminator", "train.packing=2"], "critic must have train.packing=1"),
    ],
)
def test_what_a_study_cannot_look_at_is_refused(overrides, complaint, inside, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finished = inside("gan-train", *overrides)
    assert finished.code == 2
    assert complaint in finished.err
    assert list(tmp_path.iterdir()) == []
