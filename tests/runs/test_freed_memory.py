import platform
import resource
import subprocess
import sys

import pytest
import torch

from runs.freed_memory import keep_freed_memory
from tests.compose import ROOT

PAGES = (64 << 20) // resource.getpagesize()


def faults() -> int:
    """Return how many pages the system gave, and cleared, while 64 MiB were written four times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(64 << 20, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_memory_that_was_freed_is_not_cleared_again() -> None:
    # in a process of its own: it cannot be unsaid, and other tests measure memory
    done = subprocess.run(
        [sys.executable, "-m", "tests.runs.test_freed_memory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < PAGES


if __name__ == "__main__":
    keep_freed_memory()
    for _ in range(4):  # until the heap has holes that are large enough
        faults()
    print(faults())
