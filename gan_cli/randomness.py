"""Random streams that are pure functions of a seed and a name, so that a resumed run needs no saved state."""

import hashlib

import numpy as np
import torch

from gan_cli.editions import NEWEST

WORDS = slice(24, 24 + 8 * 624)
"""The bytes of a CPU generator's state that hold the 624 words of its Mersenne Twister, in eight bytes each."""

UNUSED = torch.Generator().get_state().numpy()
"""The state of a CPU generator that has drawn nothing yet."""


def stream(seed: int, *name: int | str) -> int:
    """The 63-bit seed of the stream called `name`: equal for equal arguments, unrelated for any others.

    `torch.Generator.manual_seed` takes all bits of it on CUDA, but the lower 32 on the CPU: enough for a few streams,
    and too few for one a step, which `begin` is for.
    """
    digest = hashlib.blake2b(_text(seed, *name), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def begin(generator: torch.Generator, seed: int, *name: int | str, edition: int = NEWEST) -> None:
    """Have a generator draw the stream called `name` from its beginning.

    On the CPU, from edition 2 on, the whole state of the generator is a hash of the name.
    """
    if edition == 1 or generator.device.type != "cpu":
        generator.manual_seed(stream(seed, *name))
        return
    state = UNUSED.copy()
    words = hashlib.shake_128(_text(seed, *name)).digest(4 * 624)
    state[WORDS].view(np.uint64)[:] = np.frombuffer(words, "<u4")
    generator.set_state(torch.from_numpy(state))


def torchs_own(device: torch.device) -> list[torch.Generator]:
    """The generators that code on a device draws from unless it is given one: the CPU's, and that of the device."""
    of_device = [torch.cuda.default_generators[device.index]] if device.type == "cuda" else []
    return [torch.default_generator, *of_device]


def _text(seed: int, *name: int | str) -> bytes:
    return repr((seed, *name)).encode()
