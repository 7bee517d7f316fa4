"""Trusted pictures from outside the noisy list, and the test pictures that the probe set leaves."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from datamodules.batch import UNKNOWN
from datamodules.listing import Files, Labelled, Listing
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.tables import class_numbers, read_table, refuse_twice


def read_probe_list(given: str, names: Sequence[str]) -> Labelled:
    """Read `dataset.probe_list`: a table with `path`, absolute or relative to it, and `label`.

    Args:
        given: path of the `.csv` or `.parquet`.
        names: of the classes; a label is one of them or its number.

    Raises:
        ValueError: if it is no such table, or names a picture twice.
    """
    file = Path(given).expanduser().absolute()
    table = read_table(file, "dataset.probe_list", ("path", "label"))
    number = class_numbers(names)
    unknown = next((name for name in table["label"] if name not in number), None)
    if unknown is not None:
        raise ValueError(
            f"dataset.probe_list={file} has the label {unknown!r}: give class numbers from 0 to "
            f"{len(names) - 1}, or names such as {names[0]}."
        )
    paths = [os.path.normpath(path) for path in table["path"]]
    refuse_twice(paths, f"dataset.probe_list={file}")
    label = [number[name] for name in table["label"]]
    return Labelled(file.parent, paths, np.array(label, dtype=np.int64))


def joined(
    noisy: Labelled, trusted: Labelled, class_names: tuple[str, ...], true: Labels | None = None
) -> Listing:
    """Return a list of noisy pictures and, after them, the trusted ones that are not among them.

    A picture in both is one row, so that it is never a noisy example while it is in the probe set;
    if the probe set does not take it, it is a noisy example whose true class is known.

    Args:
        noisy: pictures and their given labels.
        trusted: pictures and their true classes.
        class_names: of all classes.
        true: true labels of the noisy pictures; None: only those of trusted ones are known.
    """
    root, count = noisy.root, len(noisy.paths)
    row_of = {where: row for row, where in enumerate(_places(root, noisy.paths))}
    paths, rows = list(noisy.paths), []
    for path, where in zip(trusted.paths, _places(trusted.root, trusted.paths), strict=True):
        if where not in row_of:
            row_of[where] = len(paths)
            paths.append(_below(root, trusted.root, path))
        rows.append(row_of[where])
    more = np.full(len(paths) - count, UNKNOWN)
    known = np.concatenate([np.full(count, UNKNOWN) if true is None else true, more])
    known[rows] = trusted.label
    is_trusted = np.zeros(len(paths), dtype=np.bool_)
    is_trusted[rows] = True
    given = np.concatenate([noisy.label, np.full(len(more), -1)])
    return Listing(Files(root, paths), given, known, is_trusted, class_names)


def not_in_probe(tested: Labelled, listed: Listing, drawn: Manifest, what: str) -> Labelled:
    """Return the test pictures that are not in the probe set.

    Args:
        tested: the test pictures.
        listed: the list that the probe set was drawn from.
        drawn: the manifest, with the probe set.
        what: what the test pictures are, for the message.

    Raises:
        ValueError: if a class has none left.
    """
    root, paths = listed.files
    probe = set(_places(root, (paths[row] for row in drawn.probe_rows.tolist())))
    kept = np.array([where not in probe for where in _places(tested.root, tested.paths)], bool)
    gone = np.setdiff1d(tested.label, tested.label[kept])
    if len(gone):
        raise ValueError(
            f"The probe takes all {what} of {len(gone)} classes, such as "
            f"{listed.class_names[gone[0]]}, and leaves none to test on: give a smaller "
            "probe_per_class, or trust others with dataset.probe_list."
        )
    return Labelled(
        tested.root,
        [path for path, keep in zip(tested.paths, kept, strict=True) if keep],
        tested.label[kept],
    )


def _places(root: Path, paths: Iterable[str]) -> list[str]:
    """Return where pictures are, with links in their folders' paths resolved."""
    real: dict[str, str] = {}
    places = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in real:
            real[folder] = os.path.realpath(os.path.join(root, folder))
        places.append(f"{real[folder]}/{name}")
    return places


def _below(root: Path, folder: Path, path: str) -> str:
    """Return a picture's path, relative to the root if possible, so that folders may be moved."""
    if folder.is_relative_to(root):
        return os.path.join(*folder.relative_to(root).parts, path)
    return os.path.join(folder, path)
