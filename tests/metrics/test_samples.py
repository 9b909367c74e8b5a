"""Samples in parts: the same numbers, and never more at once than a batch."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from gan_cli.datasets.base import Images
from gan_cli.metrics import samples as module
from gan_cli.metrics.extractors.base import Extractor
from gan_cli.metrics.extractors.raw import Raw
from gan_cli.metrics.frechet import FrechetDistance
from gan_cli.metrics.kernel import KernelDistance
from gan_cli.metrics.manifold import PrecisionRecall
from gan_cli.metrics.neighbours import Neighbours
from gan_cli.metrics.samples import RealSamples, Samples
from gan_cli.metrics.subject import Players
from gan_cli.models.mlp import Critic
from tests.helpers.configs import divergence
from tests.helpers.subjects import Replay, random_images

N, BATCH = 60, 7


class Watched(Images):
    """Images that note how many are asked for at once."""

    most = 0

    def at(self, chosen: Tensor):
        self.most = max(self.most, len(chosen))
        return super().at(chosen)


class Counting(Replay):
    """A generator that notes how many samples it makes at once, and in all."""

    most = made = 0

    def forward(self, latent: Tensor) -> Tensor:
        self.most, self.made = max(self.most, len(latent)), self.made + len(latent)
        return super().forward(latent)


def players(extractor: Extractor | None = None) -> Players:
    data = Watched(random_images(200, 0))
    real = RealSamples(data, extractor or Raw(), 0, torch.device("cpu"), batch_size=BATCH)
    generator = Counting(random_images(N, 1))
    critic = Critic(data.sample_shape, hidden=[4], activation="tanh", normalization="none")
    return Players(real, 0, generator, generator, critic, divergence("gan"))


@pytest.fixture
def none_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "KEPT", 0)
    yield


METRICS = [FrechetDistance(N), KernelDistance(N), PrecisionRecall(N, 3), Neighbours(50, 0.1)]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: type(metric).__name__)
def test_numbers_and_pictures_are_those_of_samples_that_are_kept(metric, monkeypatch):
    whole = players()
    expected, picture = metric(whole), metric.picture(whole)
    monkeypatch.setattr(module, "KEPT", 0)
    parted = players()
    assert metric(parted) == expected
    assert parted.drawn == whole.drawn
    if picture is not None:
        again = metric.picture(parted)
        assert again is not None
        assert again.captions == picture.captions
        assert all(torch.equal(again.rows[name], row) for name, row in picture.rows.items())
    generator, data = parted.sampler, parted.dataset
    assert isinstance(generator, Counting)
    assert isinstance(data, Watched)
    assert generator.most <= max(BATCH, 16)  # the picture takes a few at once
    assert data.most == BATCH


def test_samples_that_fit_are_made_once():
    subject = players()
    for metric in METRICS[:3]:
        metric(subject)
    assert isinstance(subject.sampler, Counting)
    assert subject.sampler.made == N


@pytest.mark.usefixtures("none_kept")
def test_features_are_computed_once_and_pixels_are_not_kept():
    subject = players()
    for metric in METRICS[:3]:
        metric(subject)
    assert isinstance(subject.sampler, Counting)
    assert subject.sampler.made == N
    assert not any(isinstance(value, Tensor) for value in vars(subject.fake(N)).values())


@pytest.mark.parametrize("kept", [0, 2**30])
def test_parts_and_places_are_those_of_the_whole(kept, monkeypatch):
    monkeypatch.setattr(module, "KEPT", kept)
    images = random_images(23, 2)
    samples = Samples(lambda places: images[places], 23, (1, 4, 4), Raw(), batch_size=5)
    assert len(samples) == 23
    assert [len(part) for part in samples.parts()] == [5, 5, 5, 5, 3]
    assert torch.equal(torch.cat(list(samples.parts())), images)
    assert torch.equal(samples.raw, images)
    chosen = torch.tensor([20, 3, 3])
    assert torch.equal(samples.at(chosen), images[chosen])
    assert torch.equal(samples.features.vectors, images.flatten(1) / 255)
