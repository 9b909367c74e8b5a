"""Random streams that are pure functions of a seed and a name, so that a resumed run needs no saved state."""

import hashlib


def stream(seed: int, *name: int | str) -> int:
    """The 63-bit seed of the stream called `name`: equal for equal arguments, unrelated for any others."""
    digest = hashlib.blake2b(repr((seed, *name)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1
