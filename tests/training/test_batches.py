"""Batches: a function of seed and index, the same whether the data stay on the device or are streamed to it."""

import gc
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch

from gan_cli.assembly.games import assemble
from gan_cli.datasets.base import Batch, Images, to_unit_range
from gan_cli.datasets.mixtures import Ring, SwissRoll
from gan_cli.randomness import begin
from gan_cli.training.batches import EndlessBatches, Shuffled, batches, fits
from tests.helpers.configs import compose
from tests.helpers.resuming import advance

CPU = torch.device("cpu")
RING = Ring(modes=8, radius=2.0, deviation=0.02)
SIZE, BATCH, PER_EPOCH = 23, 4, 5

PATHS = [("resident", 1), ("streamed", 1), ("streamed", 3)]
both_paths = pytest.mark.parametrize(("data", "workers"), PATHS)


def pictures(size: int = SIZE, channels: int = 3, mirror: bool = False) -> Images:
    """Random pixels, but for the corner that tells which image it is."""
    images = torch.randint(256, (size, channels, 6, 8), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    images[:, :, 0, 0] = images[:, :, 0, -1] = torch.arange(size)[:, None]
    return Images(images, torch.arange(size), mirror=mirror)


def source(data="resident", workers=1, seed=0, mirror=False, channels=3) -> Callable[[int, int], torch.Tensor]:
    """The images of the batches; each has its own number for its label."""
    given = batches(pictures(channels=channels, mirror=mirror), BATCH, seed, CPU, data=data, workers=workers)

    def images(first: int, count: int) -> torch.Tensor:
        batch = given(first, count)
        assert torch.equal(batch.labels, identities(batch.samples))
        return batch.samples

    return images


def identities(result):
    """Which image is where: shape `(count, batch)`."""
    return result.add(1).mul(127.5).round()[:, :, 0, 0, 0].int()


def reference(index, mirror, seed=0):
    """Batch `index`, spelled out."""
    dataset = pictures(mirror=mirror)
    generator = torch.Generator()
    begin(generator, seed, "epoch", index // PER_EPOCH)
    order = torch.randperm(SIZE, generator=generator)
    flipped = torch.rand(SIZE, generator=generator) < 0.5
    part = slice(index % PER_EPOCH * BATCH, (index % PER_EPOCH + 1) * BATCH)
    images = [
        dataset.images[chosen].flip(-1) if mirror and flip else dataset.images[chosen]
        for chosen, flip in zip(order[part], flipped[part], strict=True)
    ]
    return to_unit_range(torch.stack(images))


@both_paths
@pytest.mark.parametrize("mirror", [False, True])
def test_three_epochs_are_bit_for_bit_the_same_on_every_path(data, workers, mirror):
    given = source(data, workers, mirror=mirror)
    results = torch.cat([given(first, 3) for first in range(0, 3 * PER_EPOCH, 3)])
    assert torch.equal(results, torch.stack([reference(index, mirror) for index in range(3 * PER_EPOCH)]))


@both_paths
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_float32_in_the_unit_range_with_the_channels_innermost(data, workers, channels):
    result = source(data, workers, channels=channels)(0, 7)
    assert result.shape == (7, BATCH, channels, 6, 8)
    assert result.dtype == torch.float32
    assert result.amin() >= -1
    assert result.amax() <= 1
    assert all(batch.is_contiguous(memory_format=torch.channels_last) for batch in result)


def test_images_are_scaled_to_the_unit_range_exactly():
    assert to_unit_range(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1.0, 1.0]


@both_paths
def test_a_batch_does_not_depend_on_those_it_is_asked_with(data, workers):
    """`b(i, n)[k] == b(i + k, 1)[0]`, also where the call spans several epochs."""
    given = source(data, workers, mirror=True)
    for first, count in [(0, 1), (3, 5), (4, 2 * PER_EPOCH + 3)]:
        together = given(first, count)
        apart = source(mirror=True)
        assert torch.equal(together, torch.cat([apart(index, 1) for index in range(first, first + count)]))


@both_paths
def test_the_order_of_the_questions_makes_no_difference(data, workers):
    given = source(data, workers, mirror=True)
    for first, count in [(7, 2), (9, 2), (0, 3), (0, 3), (12, 1), (13, 4), (2, 1)]:
        assert torch.equal(given(first, count), source(mirror=True)(first, count)), (first, count)


@both_paths
def test_a_resumed_run_goes_on_with_the_same_batches(data, workers):
    whole = source(mirror=True)
    for first in range(0, 12, 3):
        whole(first, 3)
    resumed = source(data, workers, mirror=True)
    assert all(torch.equal(resumed(first, 3), whole(first, 3)) for first in range(12, 24, 3))


@both_paths
def test_another_seed_gives_another_order(data, workers):
    assert not torch.equal(identities(source(data, workers)(0, 5)), identities(source(data, workers, seed=1)(0, 5)))


@both_paths
def test_torchs_global_stream_is_neither_read_nor_moved(data, workers):
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        given = source(data, workers, mirror=True)
        results = torch.cat([given(0, 6), given(6, 6), given(3, 1)])
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(results[:6], source(mirror=True)(0, 6))


def test_an_epoch_holds_no_image_twice_leaves_out_the_remainder_and_has_its_own_order():
    given = source()
    epochs = [identities(given(PER_EPOCH * epoch, PER_EPOCH)).flatten().tolist() for epoch in range(60)]
    assert all(len(set(epoch)) == PER_EPOCH * BATCH for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 60
    counts = Counter(image for epoch in epochs for image in epoch)
    # Each image is in an epoch with probability 20/23: five standard deviations about the mean of 60 epochs.
    assert all(abs(counts[image] - 60 * 20 / 23) < 5 * (60 * 20 / 23 * 3 / 23) ** 0.5 for image in range(SIZE))


@pytest.mark.parametrize("mirror", [False, True])
def test_half_of_the_images_are_mirrored_where_the_data_allow_it(mirror):
    images = torch.zeros(1000, 1, 2, 2, dtype=torch.uint8)
    images[..., 1] = 255
    result = batches(Images(images, mirror=mirror), 500, 0, CPU)(0, 4).samples
    flipped = (result[..., 0] > result[..., 1]).all(-1)
    # Five standard deviations about the mean of 2000 coins.
    assert abs(flipped.sum().item() - (1000 if mirror else 0)) <= (112 if mirror else 0)
    assert mirror != torch.equal(flipped[:2], flipped[2:])


def test_the_gather_moves_bytes():
    images, flipped, _ = Shuffled(pictures().images, BATCH, 0, mirror=True)[0, 3]
    assert images.dtype == torch.uint8
    assert images.shape == (3 * BATCH, 3, 6, 8)
    assert flipped is not None
    assert flipped.shape == (3 * BATCH,)
    assert Shuffled(pictures().images, BATCH, 0, mirror=False)[0, 3].flipped is None


def test_images_can_be_streamed_from_a_file(tmp_path):
    """As the cache of a folder of images gives them: mapped into memory, so that only what is drawn is read."""
    np.save(tmp_path / "images.npy", pictures().images.numpy())
    mapped = Images(torch.from_numpy(np.load(tmp_path / "images.npy", mmap_mode="c")))
    given = batches(mapped, BATCH, 0, CPU, data="streamed", workers=2)
    assert torch.equal(given(0, 7).samples, source()(0, 7))


def test_the_images_are_not_copied():
    images = pictures().images
    given = batches(Images(images), BATCH, 0, CPU)
    images.fill_(255)
    assert (given(0, 5).samples == 1).all()


@both_paths
def test_a_batch_of_all_the_data_and_one_larger_than_them(data, workers):
    whole = batches(pictures(), SIZE, 0, CPU, data=data, workers=workers)(0, 2).samples
    assert all(sorted(batch) == list(range(SIZE)) for batch in identities(whole).tolist())
    with pytest.raises(ValueError, match=r"^batch_size=24 is larger than the data set of 23 images"):
        batches(pictures(), SIZE + 1, 0, CPU, data=data, workers=workers)


def test_points_are_drawn_anew_for_every_index():
    points = EndlessBatches(RING, 16, 0, CPU)
    together = points(2, 3).samples
    assert together.shape == (3, 16, 2)
    assert len(together.unique(dim=0)) == 3
    assert all(torch.equal(points(2 + k, 1).samples[0], together[k]) for k in (1, 0, 2))
    assert not torch.equal(EndlessBatches(RING, 16, 1, CPU)(2, 3).samples, together)


class Sides(Ring):
    """The ring with a class for each half of the plane."""

    def batch(self, n, generator):
        points = self.sample(n, generator)
        return Batch(points, (points[:, 0] > 0).long())


def test_points_may_have_labels_and_data_without_them_have_none():
    given = EndlessBatches(Sides(8, 2.0, 0.02), 16, 0, CPU)(3, 2)
    assert given.labels.shape == (2, 16)
    assert torch.equal(given.labels, (given.samples[..., 0] > 0).long())
    first, second = given.unbind()
    assert torch.equal(first.samples, given.samples[0])
    assert torch.equal(second.labels, given.labels[1])
    assert EndlessBatches(SwissRoll(0.25, 7.5), 16, 0, CPU)(0, 1).labels is None
    assert batches(Images(pictures().images), BATCH, 0, CPU)(0, 1).labels is None


def test_data_stay_on_the_device_up_to_half_of_its_memory():
    assert fits(50, 100)
    assert not fits(51, 100)
    assert fits(0, 0)


@pytest.mark.parametrize(("free", "path"), [(10**9, "resident"), (5000, "streamed by 2 threads")])
def test_the_size_decides_on_a_gpu_where_nothing_else_is_said(monkeypatch, free, path):
    """A machine that claims to have a GPU, as far as the choice goes."""
    dataset, gpu = pictures(), torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10**10))
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
    assert batches(dataset, BATCH, 0, gpu).description.startswith(path)
    assert batches(dataset, BATCH, 0, gpu, data="resident").description.startswith("resident")
    assert batches(dataset, BATCH, 0, gpu, data="streamed").description.startswith("streamed")


def test_the_path_is_said_in_words():
    assert batches(RING, 4, 0, CPU).description == "drawn on cpu"
    images = Images(torch.zeros(1000, 1, 28, 28, dtype=torch.uint8))
    assert batches(images, 4, 0, CPU).description == "resident on cpu (0.8 MB of uint8)"
    streamed = batches(images, 4, 0, CPU, data="streamed", workers=3)
    assert streamed.description == "streamed by 3 threads (0.8 MB of uint8)"


def test_a_run_on_streamed_data_is_the_one_on_resident_data():
    small = ["dataset=mnist5k", "dataset.resolution=8", "model.generator.width=4", "model.critic.width=4", "metric=[]"]
    runs = [assemble(compose(*small, "divergence=wgan_gp", f"device.data={data}")) for data in ("resident", "streamed")]
    assert len({advance(run, 5).state.fingerprint() for run in runs}) == 1
    assert [run.batches.description.split()[0] for run in runs] == ["resident", "streamed"]


def test_threads_end_with_the_run():
    before = set(threading.enumerate())  # some of which, of other tests, may still be about to end
    given = source("streamed", 2)
    given(0, 2), given(9, 2)
    started = set(threading.enumerate()) - before
    assert 1 <= len(started) <= 2
    del given
    gc.collect()
    for thread in started:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.thorough
def test_a_program_that_still_holds_its_batches_ends():
    program = """
import torch
from gan_cli.training.batches import batches
from gan_cli.datasets.base import Batch, Images
images = Images(torch.zeros(10, 1, 4, 4, dtype=torch.uint8))
held = batches(images, 2, 0, torch.device("cpu"), data="streamed", workers=2)
held(0, 1), held(1, 1)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
