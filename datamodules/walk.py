"""Folders below a folder, through links."""

import os
from collections.abc import Iterator
from pathlib import Path


def walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder from a root down, the names of folders in it, and those of files.

    Links are followed, and a folder that is reached twice counts once. Who takes names of folders
    out of the list, or sorts it, says where to go on, and in which order.
    """
    seen = set()
    for name, below, files in os.walk(root, followlinks=True):
        real = os.path.realpath(name)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        yield Path(name), below, files
