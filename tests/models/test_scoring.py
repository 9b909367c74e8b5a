"""A critic as a function of samples alone: labels given beforehand, an augmentation before it, penalties behind."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn

from gan_cli.assembly.games import assemble
from gan_cli.augmentations.base import Augmentation
from gan_cli.commands.train import run
from gan_cli.datasets.base import Batch
from gan_cli.divergences.fgan import Gan
from gan_cli.divergences.penalties import R1, R1R2, Interpolate, NoPenalty, gradient_norm
from gan_cli.errors import ConfigError
from gan_cli.models import base
from gan_cli.models.base import Scoring
from gan_cli.training.loop import Game, draw
from tests.helpers.configs import TINY, compose
from tests.helpers.runs import record

CLASSES = 3


class Judge(base.Critic):
    """A slope for each class."""

    conditional = True

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.slopes[labels] * x.flatten(1).sum(1)


class Drawer(base.Generator):
    """The label, to which the latent adds nothing."""

    conditional = True

    def __init__(self) -> None:
        super().__init__(2, "normal")
        self.offset = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return labels[:, None].double() + self.offset + 0 * latent


class Doubling(Augmentation):
    """Everything twice as far out."""

    def __call__(self, samples: Tensor) -> Tensor:
        return 2 * samples


REAL = torch.tensor([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], dtype=torch.float64)
FAKE = torch.ones(3, 2, dtype=torch.float64)
LABELS = torch.tensor([2, 0, 1])
SLOPES = torch.tensor([100.0, 1.0, 10.0], dtype=torch.float64)


def test_each_sample_is_scored_with_its_label_and_a_fake_one_with_that_of_the_real_one_in_its_place():
    scoring = Scoring(Judge(), LABELS)
    torch.testing.assert_close(scoring(REAL), SLOPES * REAL[:, 0])
    real, fake = scoring.both(REAL, FAKE)
    torch.testing.assert_close(real, SLOPES * REAL[:, 0])
    torch.testing.assert_close(fake, SLOPES * 2)


@pytest.mark.parametrize("penalty", [R1(2.0), R1R2(2.0), Interpolate(1.0), NoPenalty()], ids=lambda p: type(p).__name__)
def test_a_penalty_sees_samples_alone_whichever_labels_the_critic_has(penalty):
    """All slopes are known, so that penalties at or between samples are known as well."""
    norms = SLOPES * 2**0.5
    at = {R1: norms.square().mean(), R1R2: 2 * norms.square().mean(), Interpolate: (norms - 1).square().mean()}
    scoring = Scoring(Judge(), LABELS)
    real, fake, value = penalty.with_scores(scoring, REAL, FAKE)
    torch.testing.assert_close(value, at.get(type(penalty), torch.zeros((), dtype=torch.float64)))
    torch.testing.assert_close((real, fake), scoring.both(REAL, FAKE))


@pytest.mark.parametrize("penalty", [R1(2.0, 0.6), R1R2(2.0, 0.6)], ids=lambda p: type(p).__name__)
def test_a_penalty_of_a_part_of_the_batch_sees_the_labels_of_that_part(penalty):
    squared = 2 * SLOPES[:2].square().mean()
    *scores, value = penalty.with_scores(Scoring(Judge(), LABELS), REAL, FAKE)
    torch.testing.assert_close(value, squared if isinstance(penalty, R1) else 2 * squared)
    torch.testing.assert_close(tuple(scores), Scoring(Judge(), LABELS).both(REAL, FAKE))


def test_an_augmentation_stands_before_the_critic_and_gradients_pass_through_it():
    plain, doubled = Scoring(Judge(), LABELS), Scoring(Judge(), LABELS, Doubling())
    torch.testing.assert_close(doubled(REAL), 2 * plain(REAL))
    torch.testing.assert_close(gradient_norm(doubled, REAL), 2 * gradient_norm(plain, REAL))


def test_players_of_a_game_are_given_the_labels_of_the_real_batch():
    generator, critic = Drawer(), Judge()
    game = Game(generator, critic, Gan(generator_loss="minimax", penalty=R1(2.0)))
    real = Batch(REAL, LABELS)
    fake = draw(game, real)
    torch.testing.assert_close(fake, LABELS[:, None].double().expand(3, 2))
    _, terms = game.critic_loss(real, fake.detach())
    torch.testing.assert_close(terms["penalty"], (SLOPES * 2**0.5).square().mean())
    expected = Gan(generator_loss="minimax").estimate(SLOPES * REAL[:, 0], SLOPES * fake[:, 0] * 2)
    torch.testing.assert_close(terms["estimate"], expected.detach())
    game.generator_loss(real, fake).backward()
    assert generator.offset.grad is not None


def test_a_conditional_player_is_refused_where_the_data_have_no_labels():
    for part, needs in (("generator", "Labelled"), ("critic", "LabelledJudge")):
        config = compose("dataset=swiss_roll", "model=mlp")
        config.model[part] = {"_target_": f"{__name__}.{needs}"}
        with pytest.raises(ConfigError, match=rf"model\.{part} needs the labels of samples"):
            assemble(config)


class Labelled(base.Generator):
    """A grey value for each digit."""

    conditional = True

    def __init__(self, sample_shape: tuple[int, ...]) -> None:
        super().__init__(2, "normal")
        self.sample_shape = sample_shape
        self.shades = nn.Parameter(torch.linspace(-0.9, 0.9, 10))

    def forward(self, latent: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.shades[labels].reshape(-1, 1, 1, 1).expand(-1, *self.sample_shape)


class LabelledJudge(base.Critic):
    """The mean of a picture, weighed by its class."""

    conditional = True

    def __init__(self, sample_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(10))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return self.weights[labels] * x.flatten(1).mean(1)


def test_a_conditional_run_is_trained_drawn_and_measured(tmp_path):
    measured = ["metric=[class_histogram]", "metric.class_histogram.samples=100"]
    small = ["dataset=mnist5k", "dataset.resolution=8", "model=mlp", "train.batch_size=8", "train.steps=2"]
    config = compose(*small, *measured)
    config.model.generator = {"_target_": f"{__name__}.Labelled"}
    config.model.critic = {"_target_": f"{__name__}.LabelledJudge"}
    folder = tmp_path / "run"
    run(config, folder, {"config.yaml": OmegaConf.to_yaml(config)})
    assert record(folder)["status"] == "done"
    with Image.open(folder / "samples.png") as picture:
        shades = np.unique(np.asarray(picture.convert("L")))
    assert len(shades) >= 10  # of as many digits, and the frame


def test_a_strangers_augmentation_is_chosen_by_its_node_and_changes_the_run():
    def fingerprint(*overrides: str) -> str:
        job = assemble(compose(*TINY, "train.steps=2", *overrides))
        list(job.terms())
        return job.state.fingerprint()

    mine = f"augmentation={{_target_: {__name__}.Doubling}}"
    assert fingerprint(mine) != fingerprint() == fingerprint("augmentation=none")
