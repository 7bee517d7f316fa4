"""Walk through a folder tree, following links."""

import os
from collections.abc import Iterator
from pathlib import Path


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder from a root down, with the names of the folders and of the files in it.

    Links are followed, and a folder that is reached twice is yielded once. As with `os.walk`, the
    caller may edit or sort the list of folders to choose where the walk goes on.
    """
    seen = set()
    for name, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(name)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield Path(name), below, files
