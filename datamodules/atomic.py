"""Files that are either whole or as they were, wherever the process dies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and put it in its place if nothing was raised."""
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    os.replace(partial, path)
