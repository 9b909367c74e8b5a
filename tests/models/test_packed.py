"""Packing: which samples have one score, what penalties make of it, and that it goes with everything else."""

import math

import pytest
import torch
from omegaconf import OmegaConf, open_dict
from torch import Tensor, nn

from gan_cli import sampling
from gan_cli.assembly.games import assemble
from gan_cli.config.identity import differences
from gan_cli.config.options import names as options
from gan_cli.datasets.mixtures import Gaussian
from gan_cli.divergences.fgan import Gan, KullbackLeibler
from gan_cli.divergences.penalties import R1, R1R2, Interpolate, InterpolateOneSided, Penalty
from gan_cli.errors import ConfigError
from gan_cli.metrics.exact import ExactDivergence
from gan_cli.metrics.subject import Players
from gan_cli.models import base
from gan_cli.models.base import Scoring
from gan_cli.models.packed import Packed, packed_shape
from gan_cli.models.toys import GaussianGenerator
from gan_cli.runs.load import load_run
from tests.helpers import figures
from tests.helpers.configs import TINY, compose
from tests.helpers.runs import record, train
from tests.helpers.subjects import subject
from tests.models.test_scoring import Doubling, Judge

SLOPES = torch.tensor([1.0, 2.0, 10.0, 20.0], dtype=torch.float64)
"""Of a pack of two points in the plane; their norm is √505."""


class Linear(base.Critic):
    """A slope for each coordinate of a pack of points."""

    def __init__(self, slopes: Tensor) -> None:
        super().__init__()
        self.slopes = nn.Parameter(slopes)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.slopes


class Seeing(base.Critic):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.weight = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.detach())
        return self.weight * x.flatten(1).square().sum(1) / 2


def points(n: int, seed: int) -> Tensor:
    return torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_neighbours_in_the_batch_have_one_score():
    x = points(6, 0)
    scores = Packed(Linear(SLOPES), 2)(x)
    expected = [(SLOPES * torch.cat([x[i], x[i + 1]])).sum() for i in (0, 2, 4)]
    torch.testing.assert_close(scores, torch.stack(expected))


def test_the_channels_of_images_are_joined_one_image_after_the_other():
    critic = Seeing()
    images = torch.arange(4 * 3 * 5 * 5).reshape(4, 3, 5, 5).double()
    assert Packed(critic, 2)(images).shape == (2,)
    assert critic.seen[0].shape == (2, *packed_shape((3, 5, 5), 2)) == (2, 6, 5, 5)
    torch.testing.assert_close(critic.seen[0], torch.stack([torch.cat([*images[:2]]), torch.cat([*images[2:]])]))


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (R1(2.0), 505),
        (R1R2(2.0), 2 * 505),
        (Interpolate(3.0), 3 * (math.sqrt(505) - 1) ** 2),
        (InterpolateOneSided(3.0), 3 * (math.sqrt(505) - 1) ** 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_penalties_take_the_slope_with_respect_to_a_whole_pack(penalty: Penalty, expected: float) -> None:
    scoring = Scoring(Packed(Linear(SLOPES), 2))
    real, fake = scoring.packs(points(6, 0)), scoring.packs(points(6, 1))
    real_scores, fake_scores, value = penalty.with_scores(scoring, real, fake)
    assert value.item() == pytest.approx(expected)
    torch.testing.assert_close((real_scores, fake_scores), (scoring.critic(points(6, 0)), scoring.critic(points(6, 1))))


def test_a_penalty_between_samples_lies_between_whole_packs():
    critic = Seeing()
    scoring = Scoring(Packed(critic, 2))
    real, fake = points(6, 0), points(6, 1)
    Interpolate(1.0)(scoring, scoring.packs(real), scoring.packs(fake))
    position = (critic.seen[0] - real.reshape(3, 4)) / (fake - real).reshape(3, 4)
    torch.testing.assert_close(position, position[:, :1].expand(3, 4))
    assert len(position[:, 0].unique()) == 3


def test_an_augmentation_sees_samples_and_not_packs():
    class Shaped(Doubling):
        def __call__(self, samples: Tensor) -> Tensor:
            assert samples.shape[1:] == (2,)
            return super().__call__(samples)

    critic = Packed(Linear(SLOPES), 2)
    plain, doubled = Scoring(critic), Scoring(critic, augmentation=Shaped())
    packs = plain.packs(points(6, 0))
    torch.testing.assert_close(doubled(packs), 2 * plain(packs))


def test_a_critic_that_needs_labels_takes_no_packs():
    with pytest.raises(ValueError, match=r"train\.packing=1"):
        Packed(Judge(), 2)


def test_points_are_scored_in_packs_of_their_copies():
    x = points(5, 0)
    scores = sampling.scores(Packed(Linear(SLOPES), 2), x)
    torch.testing.assert_close(scores, x @ torch.tensor([11.0, 22.0], dtype=torch.float64))


class LogRatio(base.Critic):
    """1 + log p/q of pairs, for p = N(0, 1) and q = N(1, 1): the best critic of KL between such packs."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return 1 + (0.5 - x).sum(1)


def test_the_estimate_is_the_divergence_of_packs_beside_which_that_of_samples_is_not_set():
    """KL of pairs is twice that of samples, which is ½ here."""
    of = subject(Gaussian([0.0], 1.0), torch.zeros(1, 1))
    generator = GaussianGenerator((1,), mean=1.0, deviation=1.0)
    divergence = KullbackLeibler(generator_loss="minimax")
    numbers = ExactDivergence(100_001)(Players(of.real, 0, generator, generator, Packed(LogRatio(), 2), divergence))
    assert numbers.keys() == {"held_out_estimate"}
    estimate = numbers["held_out_estimate"]
    assert estimate.error is not None
    assert 1e-3 < estimate.error < 2e-2
    assert estimate.value == pytest.approx(1.0, abs=4 * estimate.error)


# Whole runs


def takes_a_step(*overrides: str) -> None:
    job = assemble(compose("train.steps=1", "train.packing=2", *overrides))
    (terms,) = job.terms()
    assert all(math.isfinite(value) for value in terms.values())


@pytest.mark.thorough
@pytest.mark.parametrize("model", options("model"))
def test_every_model_judges_packs(model):
    """Its critic, beside a generator that fits any data."""
    config = compose("dataset=mnist5k", "dataset.resolution=16", "model=mlp", "train.batch_size=8", "train.packing=4")
    with open_dict(config):
        config.model.critic = compose(f"model={model}").model.critic
    job = assemble(config)
    terms = next(job.terms())
    assert all(math.isfinite(value) for value in terms.values())


@pytest.mark.thorough
@pytest.mark.parametrize("penalty", options("divergence/penalty"))
@pytest.mark.parametrize("divergence", ["gan", "kl", "wgan_clip", "hinge", "relativistic", "mmd"])
def test_every_penalty_and_every_family_of_divergences_judge_packs(penalty, divergence):
    takes_a_step(*TINY, f"divergence={divergence}", f"divergence/penalty={penalty}")


def test_a_config_without_the_key_is_one_without_packing():
    before, after = compose(*TINY), compose(*TINY, "train.packing=1")
    with open_dict(before):
        del before.train.packing
    assert differences(before, after) == []
    assert differences(before, compose(*TINY, "train.packing=2")) == ["train.packing=1 (now 2)"]
    assert OmegaConf.to_container(compose(*TINY).model) == OmegaConf.to_container(after.model)


def test_a_batch_that_packs_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match=r"train\.batch_size=16 must be a multiple of train\.packing=3"):
        assemble(compose(*TINY, "train.packing=3"))


def test_a_run_of_packs_is_trained_measured_and_loaded(tmp_path):
    tiny = [word for word in TINY if not word.startswith("metric")]
    measured = ["metric.exact.samples=1000", "metric.modes.samples=100"]
    folder = train(tmp_path / "run", *tiny, *measured, "train.packing=4", "train.steps=2", pictures=True)
    final = record(folder)["final"]
    assert {"modes", "held_out_estimate"} <= final.keys()
    assert "exact" not in final
    critic = load_run(folder).critic
    assert critic.packing == 4
    assert critic(torch.zeros(8, 2)).shape == (2,)


def test_a_picture_says_that_the_critic_judges_copies():
    job = assemble(compose(*TINY, "train.packing=2", "train.steps=1"))
    (axes,) = figures.caught(job.picture).axes
    assert axes.get_title() == (
        "step 0, averaged generator\ngrey: score of 2 copies of a point by the raw generator's critic"
    )


def test_the_game_is_that_of_packs():
    """The loss of a step by hand: pairs of neighbours, real and fake, under the original GAN."""
    job = assemble(compose(*TINY, "train.packing=2"))
    (real,) = job.batches(0, 1).unbind()
    fake = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    loss, terms = job.game.critic_loss(real, fake)
    assert isinstance(job.state.critic, Packed)
    inner = job.state.critic.critic
    scores = inner(real.samples.reshape(8, 4)), inner(fake.reshape(8, 4))
    gan = Gan(generator_loss="non_saturating")
    torch.testing.assert_close(loss - terms["penalty"], -gan.estimate(*scores))
