"""What lists say of pictures in files, before any is opened."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.noise import Labels
from datamodules.split import Mask
from datamodules.words import some

# Files looked for before training begins; `mode=check` looks for all.
LOOKED_FOR = 200


class Files(NamedTuple):
    """Pictures and where they lie."""

    root: Path
    paths: Sequence[str]  # (N,) below the root, or absolute


class Labelled(NamedTuple):
    """Pictures and their classes, as files."""

    root: Path
    paths: Sequence[str]  # (M,)
    label: Labels  # (M,)

    @property
    def files(self) -> Files:
        """The pictures alone."""
        return Files(self.root, self.paths)


class Listing(NamedTuple):
    """What lists say of a data set, before any picture is opened."""

    files: Files
    given: Labels  # (N,) the label that comes with it; -1: none, it can only be a probe example
    true: Labels  # (N,) the true class, UNKNOWN, or KNOWN_WRONG
    trusted: Mask  # (N,) which the probe may be drawn from; their true class is known
    class_names: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of all it says, in hexadecimal; it stays when folders move as a whole."""
        digest = self._named()
        for array in (self.given, self.true, self.trusted):
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()

    @property
    def rows_hash(self) -> str:
        """SHA-256 of which picture each row is, and which class each number, in hexadecimal."""
        return self._named().hexdigest()

    def _named(self) -> Any:
        paths = [last_parts(path) for path in self.files.paths]
        return hashlib.sha256(json.dumps([*self.class_names, *paths]).encode())


def look_for(files: Files, what: str) -> None:
    """Look for some of the files, spread over the list.

    Raises:
        ValueError: if one of them is missing.
    """
    count = len(files.paths)
    rows = np.unique(np.linspace(0, count - 1, min(LOOKED_FOR, count)).astype(int))
    missing = [files.paths[row] for row in rows if not (files.root / files.paths[row]).exists()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(rows)} {what} pictures looked for are missing below "
            f"{files.root}: {some(missing)}; mode=check looks for all of them."
        )


def last_parts(path: str) -> str:
    """Return an absolute path's file and the folder it lies in; relative ones stay as they are."""
    return "/".join(path.split("/")[-2:]) if path.startswith("/") else path
