"""Atomic writes: after a crash or a power cut, a file is either complete or unchanged."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_replace(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; replace `path` by it unless an exception is raised."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        # Without this, a power cut may leave an empty file under the final name.
        fsync_path(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)  # half a file would only take up space on a full disk
        raise
    fsync_path(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file atomically; surrogate escapes (file names) become raw bytes."""
    with atomic_replace(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")


def fsync_path(path: Path) -> None:
    """Sync a file, or the names in a folder, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
