"""What the C library does with memory that is freed."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from gan_cli.training.allocator import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.zeros(2**24)  # 64 MiB, which glibc returns to the system unless told otherwise
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10

torch.set_num_threads(1)
faults()
usual = faults()
keep_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_freed_memory_is_used_again():
    printed = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True).stdout
    usual, kept = map(float, printed.split())
    assert usual > 100  # else there is nothing to save, and the test shows nothing
    assert kept < 0.05 * usual
