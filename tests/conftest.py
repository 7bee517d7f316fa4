from collections.abc import Iterator

import pytest

from tests.ranks import Ranks


@pytest.fixture(scope="session")
def ranks() -> Iterator[Ranks]:
    """Processes for tests of several ranks."""
    pool = Ranks()
    yield pool
    pool.close()
