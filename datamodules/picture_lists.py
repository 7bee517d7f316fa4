"""The paths and labels of picture files, as a data set's lists have them; no picture is opened."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.noise import Labels
from datamodules.phrases import first_few
from datamodules.split import Mask

# How many files must be there before training begins; `mode=check` looks for all.
MAX_FILES_CHECKED = 200


class PicturePaths(NamedTuple):
    """The paths of pictures."""

    root: Path
    paths: Sequence[str]  # (N,) relative to the root, or absolute


class LabelledPaths(NamedTuple):
    """The paths and classes of pictures."""

    root: Path
    paths: Sequence[str]  # (M,)
    label: Labels  # (M,)

    @property
    def files(self) -> PicturePaths:
        """The paths alone."""
        return PicturePaths(self.root, self.paths)


class TrainingList(NamedTuple):
    """A data set's training list, with what is known of each picture before it is opened."""

    files: PicturePaths
    given: Labels  # (N,) the label that comes with it; -1: none, it can only be a probe example
    true: Labels  # (N,) the true class, UNKNOWN, or KNOWN_WRONG
    trusted: Mask  # (N,) the rows the probe set may be drawn from; their true class is known
    class_names: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the whole list, in hexadecimal; moving whole folders does not change it."""
        digest = self._digest_of_names()
        for array in (self.given, self.true, self.trusted):
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()

    @property
    def rows_hash(self) -> str:
        """SHA-256 of the pictures' paths and the class names, in order, in hexadecimal."""
        return self._digest_of_names().hexdigest()

    def _digest_of_names(self) -> Any:
        paths = [portable_path(path) for path in self.files.paths]
        return hashlib.sha256(json.dumps([*self.class_names, *paths]).encode())


def check_files_exist(files: PicturePaths, description: str) -> None:
    """Check that files exist: a sample of them, spread over the list.

    Raises:
        ValueError: if one of these is missing.
    """
    count = len(files.paths)
    rows = np.unique(np.linspace(0, count - 1, min(MAX_FILES_CHECKED, count)).astype(int))
    missing = [files.paths[row] for row in rows if not (files.root / files.paths[row]).exists()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(rows)} {description} pictures looked for are missing below "
            f"{files.root}: {first_few(missing)}; mode=check looks for all of them."
        )


def portable_path(path: str) -> str:
    """Return an absolute path's file name and folder name; a relative path stays as it is."""
    return "/".join(path.split("/")[-2:]) if path.startswith("/") else path
