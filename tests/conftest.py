"""What all tests share."""

import os
from collections.abc import Iterator

import pytest

# Workers side by side, and the processes their tests start, with one thread each: threads that
# outnumber the cores wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.ranks import Ranks


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    """Processes for tests of several ranks."""
    pool = Ranks()
    yield pool
    pool.close()
