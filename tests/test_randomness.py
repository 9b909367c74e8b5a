"""Streams: functions of a seed and a name, and of all of both."""

import hashlib

import numpy as np
import pytest
import torch

from gan_cli.editions import NEWEST
from gan_cli.randomness import begin, stream

COLLIDING = (35863, 52976)
"""Steps of seed 0 whose seeds have their lower 32 bits in common."""

EDITIONS = range(1, NEWEST + 1)


def numbers(seed: int, *name: int | str, edition: int = NEWEST) -> torch.Tensor:
    generator = torch.Generator()
    begin(generator, seed, *name, edition=edition)
    return torch.randn(1000, generator=generator)


def test_on_the_cpu_the_whole_state_is_a_hash_of_the_name():
    """Beside numpy's Mersenne Twister with the same words."""
    generator, other = torch.Generator(), np.random.MT19937()
    begin(generator, 3, "step", 7)
    words = np.frombuffer(hashlib.shake_128(b"(3, 'step', 7)").digest(4 * 624), "<u4")
    other.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": 624}}
    drawn = torch.rand(2000, generator=generator).numpy()
    np.testing.assert_array_equal(drawn, other.random_raw(2000) % 2**24 / 2**24)


def test_steps_that_were_the_same_are_no_longer():
    one, other = (stream(0, "step", step) for step in COLLIDING)
    assert one != other
    assert one % 2**32 == other % 2**32
    for edition, is_same in ((1, True), (2, False)):
        first, second = (numbers(0, "step", step, edition=edition) for step in COLLIDING)
        assert torch.equal(first, second) == is_same


def test_the_first_edition_is_torchs_own_seeding():
    expected = torch.randn(1000, generator=torch.Generator().manual_seed(stream(0, "data", 5)))
    assert torch.equal(numbers(0, "data", 5, edition=1), expected)


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_stream_is_a_function_of_its_seed_and_name(edition):
    names: list[tuple[int | str, ...]] = [("step", 1), ("step", 2), ("data", 1), ("step",), ("step", "1")]
    drawn = torch.stack([numbers(seed, *name, edition=edition) for seed in (0, 1) for name in names])
    assert torch.equal(drawn[0], numbers(0, "step", 1, edition=edition))
    torch.testing.assert_close(drawn.corrcoef(), torch.eye(2 * len(names)), rtol=0, atol=0.15)


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_stream_does_not_depend_on_what_was_drawn_before(edition):
    """Normal numbers come in pairs, the second of which a generator keeps."""
    generator = torch.Generator()
    torch.randn(3, generator=generator)
    torch.randn((), generator=generator)
    begin(generator, 0, "step", 0, edition=edition)
    assert torch.equal(torch.randn(1000, generator=generator), numbers(0, "step", 0, edition=edition))
