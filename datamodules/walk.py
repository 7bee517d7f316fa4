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
    for folder, subfolders, files in os.walk(root, followlinks=True):
        real_path = os.path.realpath(folder)
        if real_path in seen:
            subfolders.clear()
            continue
        seen.add(real_path)
        yield Path(folder), subfolders, files
