"""What the C library does with memory that is freed."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Numbers of the settings in glibc's malloc.h."""

KEPT = 2**31 - 1
LARGEST_KEPT = (2**30, 2**25)
"""Sizes in bytes, in order of preference: an older glibc takes the second at most (mallopt(3))."""


def keep_freed_memory() -> None:
    """Let the process keep what it frees, in blocks of up to 1 GiB, for what it allocates next.

    A training step frees as much as the next one takes. By default glibc returns large blocks to the system, which has
    to clear every page of them anew. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None and any(mallopt(M_MMAP_THRESHOLD, size) for size in LARGEST_KEPT):
        mallopt(M_TRIM_THRESHOLD, KEPT)
