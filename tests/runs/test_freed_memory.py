import platform
import resource

import pytest
import torch

from runs.freed_memory import keep_freed_memory


def faults() -> int:
    """Return how many pages the system gave, and cleared, while 64 MiB were written four times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_memory_that_was_freed_is_not_cleared_again() -> None:
    keep_freed_memory()
    for _ in range(4):  # until the heap has holes that are large enough
        faults()
    assert faults() < (64 << 20) // resource.getpagesize()
