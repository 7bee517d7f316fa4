import platform
import resource

import numpy as np
import pytest

from runs.freed_memory import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_memory_that_was_freed_is_not_cleared_again() -> None:
    keep_freed_memory()
    pages = (64 << 20) // resource.getpagesize()
    np.ones(64 << 20, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        np.ones(64 << 20, np.uint8)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < pages / 4
