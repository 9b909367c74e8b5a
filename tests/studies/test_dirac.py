"""The Dirac-GAN against closed forms, and its updates against those of the training loop."""

import math
from typing import Literal

import pytest
import torch
from torch import nn

from gan_cli.config import options
from gan_cli.datasets.base import Batch
from gan_cli.divergences.fgan import Gan, KullbackLeibler
from gan_cli.divergences.margin import LeastSquares
from gan_cli.divergences.penalties import R1, R1R2, Interpolate, InterpolateOneSided, NoPenalty, Penalty
from gan_cli.divergences.wasserstein import Wasserstein, WeightClippedWasserstein
from gan_cli.errors import ConfigError
from gan_cli.models import base
from gan_cli.studies.dirac import Dirac
from gan_cli.studies.dirac_game import NEAR, DiracGame, LinearCritic, behaviour, radius, spectral_radii, updates
from gan_cli.training import loop
from gan_cli.training.state import TrainState

GAN: Literal["non_saturating"] = "non_saturating"
STEP = 0.1
STUDY = Dirac({}, STEP, 10, 0.3, 1.0, ["lsgan:fake_label=-1.0"])


def eigenvalues(divergence):
    return sorted(
        behaviour(DiracGame(divergence), STEP, 1, 1.0).eigenvalues, key=lambda value: (value.real, value.imag)
    )


def assert_eigenvalues(divergence, *expected):
    torch.testing.assert_close(torch.tensor(eigenvalues(divergence)), torch.tensor(expected), rtol=1e-5, atol=1e-5)


class Training(base.Generator):
    """A generator at θ, for the training loop."""

    def __init__(self, position):
        super().__init__(1, "normal")
        self.position = nn.Parameter(torch.tensor([[position]], dtype=torch.float64))

    def sample_latent(self, n, generator=None):
        return torch.zeros(n, 1, dtype=torch.float64)

    def forward(self, latent):
        return self.position + latent


@pytest.mark.parametrize("divergence", [Gan(generator_loss=GAN), Gan(generator_loss="minimax")])
def test_the_unpenalised_gan_turns_at_half_a_radian(divergence):
    assert_eigenvalues(divergence, -0.5j, 0.5j)


def test_the_unpenalised_wgan_turns_at_one_radian():
    assert_eigenvalues(Wasserstein(), -1j, 1j)


def test_the_two_players_of_kl_have_different_speeds():
    """θ moves by g'(0) = 1, ψ by the slope 1/e of f*(v) = e^(v−1) at 0."""
    assert_eigenvalues(KullbackLeibler(generator_loss=GAN), -math.exp(-0.5) * 1j, math.exp(-0.5) * 1j)


@pytest.mark.parametrize("gamma", [0.3, 0.9, 3.0])
@pytest.mark.parametrize(("penalty", "factor"), [(R1, 1), (R1R2, 2)])
def test_penalties_centred_at_zero_pull_by_mescheders_formula(gamma, penalty, factor):
    """−γ/2 ± √(γ²/4 − f'(0)²); real and fake samples together count twice."""
    half, root = factor * gamma / 2, ((factor * gamma / 2) ** 2 - 0.25 + 0j) ** 0.5
    expected = sorted([-half - root, -half + root], key=lambda value: (value.real, value.imag))
    assert_eigenvalues(Gan(generator_loss=GAN, penalty=penalty(gamma)), *expected)


@pytest.mark.parametrize("speed", [0.5, 1.0])
def test_a_circle_widens_under_simultaneous_steps_and_stays_under_alternating_ones(speed):
    game = DiracGame(Gan(generator_loss="minimax") if speed == 0.5 else Wasserstein())
    found = behaviour(game, STEP, 300, 1.0)
    expected = {"alternating": 1.0, "simultaneous": math.sqrt(1 + (STEP * speed) ** 2)}
    assert found.verdict == "circles"
    assert found.predicted == pytest.approx(expected, abs=1e-6)
    assert found.measured == pytest.approx(expected, abs=2e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("row", STUDY.games)
def test_near_the_equilibrium_updates_do_what_their_eigenvalues_say(row):
    start, steps = (NEAR / 10, NEAR / 20), 30
    for column, game in STUDY.games[row].items():
        jacobian = game.jacobian()
        if jacobian is None:  # a penalty that the row cannot settle under
            assert column not in ("none", "r1", "r1_r2")
            continue
        for name, update in updates(jacobian, STEP).items():
            path = game.path(start, STEP, steps, alternating=name == "alternating")
            expected = torch.linalg.matrix_power(update, steps) @ torch.tensor(start, dtype=torch.float64)
            torch.testing.assert_close(path[-1], expected, rtol=0, atol=1e-3 * NEAR / 10)


@pytest.mark.parametrize(
    "divergence",
    [
        Gan(generator_loss=GAN, penalty=R1(0.3)),
        Wasserstein(penalty=Interpolate(0.3)),
        WeightClippedWasserstein(clip=0.5),
    ],
)
def test_an_alternating_update_is_that_of_the_training_loop(divergence):
    """A critic that descends where it should ascend would part from the loop at the first step."""
    generator, critic = Training(1.0), LinearCritic()
    nn.init.constant_(critic.slope, 0.45)
    state = TrainState(
        generator=generator,
        critic=critic,
        average=generator,
        generator_optimizer=torch.optim.SGD(generator.parameters(), STEP),
        critic_optimizer=torch.optim.SGD(critic.parameters(), STEP),
    )
    players = loop.Game(generator, critic, divergence)
    real = Batch(torch.zeros(1, 1, dtype=torch.float64))
    path = DiracGame(divergence).path((1.0, 0.45), STEP, 20, alternating=True)
    for expected in path[1:]:
        loop.critic_step(state, players, real, loop.draw(players, real))
        loop.generator_step(state, players, real, loop.draw(players, real))
        torch.testing.assert_close(torch.stack([generator.position.squeeze(), critic.slope]).detach(), expected)


def test_a_critic_that_descends_makes_a_saddle():
    class Descending(Wasserstein):
        def estimate(self, real, fake):
            return -super().estimate(real, fake)

    assert_eigenvalues(Descending(), -1 + 0j, 1 + 0j)
    assert behaviour(DiracGame(Descending()), STEP, 300, 1.0).verdict == "diverges"


def test_the_penalty_centred_at_one_throws_the_critic_off_the_equilibrium():
    found = behaviour(DiracGame(Wasserstein(penalty=Interpolate(0.3))), STEP, 300, 1.0)
    assert (found.verdict, found.eigenvalues, found.predicted) == ("never settles", None, None)
    assert 0.5 < found.path[-100:].norm(dim=1).min() < found.path[-100:].norm(dim=1).max() < 2


def test_the_one_sided_penalty_is_not_felt_near_the_equilibrium():
    free, bound = DiracGame(Wasserstein()), DiracGame(Wasserstein(penalty=InterpolateOneSided(0.3)))
    torch.testing.assert_close(bound.jacobian(), free.jacobian())
    assert bound.field((0.0, 1.5)) == pytest.approx((1.5, -0.3))


@pytest.mark.thorough
@pytest.mark.parametrize("penalty", [NoPenalty(), R1(0.3)])
def test_labels_that_a_line_through_the_origin_cannot_meet_leave_the_generator_adrift(penalty):
    labels = {"real_label": 1.0, "generator_label": 1.0, "penalty": penalty}
    adrift, bound = (DiracGame(LeastSquares(fake_label=label, **labels)) for label in (0.0, -1.0))
    assert torch.linalg.eigvals(adrift.jacobian()).abs().min() < 1e-3
    assert behaviour(adrift, STEP, 300, 1.0).verdict == "drifts"
    assert behaviour(bound, STEP, 300, 1.0).verdict == ("circles" if penalty == NoPenalty() else "converges")


def test_clipping_holds_the_path():
    path = DiracGame(WeightClippedWasserstein(clip=0.5)).path((1.0, 0.4), STEP, 200, alternating=False)
    assert path[:, 1].abs().max() == 0.5
    assert (path[:, 1].abs() == 0.5).sum() > 10


def test_a_penalty_that_tilts_the_critic_has_no_equilibrium():
    class Tilt(Penalty):
        def __call__(self, critic, real, fake):
            return -critic(real + 1).mean()

    assert behaviour(DiracGame(Wasserstein(penalty=Tilt())), STEP, 10, 1.0).verdict == "no equilibrium"


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_the_radius_of_a_spiral_is_its_factor(factor):
    angles = 0.3 * torch.arange(101, dtype=torch.float64)
    spiral = (
        torch.stack([angles.cos(), angles.sin()], dim=1) * factor ** torch.arange(101, dtype=torch.float64)[:, None]
    )
    assert radius(spiral) == pytest.approx(factor, abs=1e-9)


def test_the_spectral_radius_of_a_pull_without_a_turn_is_one_less_the_step():
    jacobian = -torch.eye(2, dtype=torch.float64)
    assert spectral_radii(jacobian, STEP) == pytest.approx({"alternating": 0.9, "simultaneous": 0.9})


def test_the_study_has_every_divergence_and_every_penalty():
    assert STUDY.games.keys() == {*options.names("divergence"), "lsgan:fake_label=-1.0"}
    targets = {
        name: options.option("divergence/penalty", name)._target_ for name in options.names("divergence/penalty")
    }
    for games in STUDY.games.values():
        assert [targets[name] for name in games] == list(dict.fromkeys(targets[name] for name in games))
        assert {targets[name] for name in games} == set(targets.values())
    assert {"interpolate", "none"} < games.keys()
    assert STUDY.games["gan"]["r1"].divergence.penalty == R1(0.3)


def test_a_divergence_that_is_not_known_is_refused_before_anything_is_computed():
    with pytest.raises(ConfigError, match=r"gann is not a divergence: did you mean gan\?"):
        Dirac({}, STEP, 10, 0.3, 1.0, ["gann"])
