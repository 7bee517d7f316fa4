"""What all tests share."""

import os
from collections.abc import Iterator

import pytest

# Workers side by side, and the processes their tests start, with one thread each: threads that
# outnumber the cores wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.ranks import RankPool


@pytest.fixture(scope="session")
def rank_pool() -> Iterator[RankPool]:
    """Processes for tests of several ranks."""
    pool = RankPool()
    yield pool
    pool.close()
