"""Files that are either whole or as they were, wherever the process dies or the power fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to, and put it in its place if nothing was raised."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        # Without it a power cut may leave the new name with nothing in it.
        to_disk(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)  # on a full disk, half a file is in the way
        raise
    to_disk(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file in UTF-8, but for names of files that are not; whole or as it was."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
