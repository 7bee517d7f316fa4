"""Trusted pictures from outside the noisy list, and the test pictures that the probe set leaves."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from datamodules.batch import UNKNOWN
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.picture_lists import LabelledPaths, PicturePaths, TrainingList
from datamodules.tables import check_unique, class_indices, read_table


def read_probe_list(setting: str, names: Sequence[str]) -> LabelledPaths:
    """Read `dataset.probe_list`: a table with `path`, absolute or relative to it, and `label`.

    Args:
        setting: path of the `.csv` or `.parquet`.
        names: of the classes; a label is one of them or its number.

    Raises:
        ValueError: if it is no such table, or names a picture twice.
    """
    file = Path(setting).expanduser().absolute()
    table = read_table(file, "dataset.probe_list", ("path", "label"))
    class_of = class_indices(names)
    unknown = next((name for name in table["label"] if name not in class_of), None)
    if unknown is not None:
        raise ValueError(
            f"dataset.probe_list={file} has the label {unknown!r}: give class numbers from 0 to "
            f"{len(names) - 1}, or names such as {names[0]}."
        )
    paths = [os.path.normpath(path) for path in table["path"]]
    check_unique(paths, f"dataset.probe_list={file}")
    label = [class_of[name] for name in table["label"]]
    return LabelledPaths(file.parent, paths, np.array(label, dtype=np.int64))


def join_trusted(
    noisy: LabelledPaths,
    trusted: LabelledPaths,
    class_names: tuple[str, ...],
    true: Labels | None = None,
) -> TrainingList:
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
    row_of = {real_path: row for row, real_path in enumerate(_real_paths(root, noisy.paths))}
    paths, rows = list(noisy.paths), []
    for path, real_path in zip(
        trusted.paths, _real_paths(trusted.root, trusted.paths), strict=True
    ):
        if real_path not in row_of:
            row_of[real_path] = len(paths)
            paths.append(_relative_path(root, trusted.root, path))
        rows.append(row_of[real_path])
    added = np.full(len(paths) - count, UNKNOWN)
    true_label = np.concatenate([np.full(count, UNKNOWN) if true is None else true, added])
    true_label[rows] = trusted.label
    is_trusted = np.zeros(len(paths), dtype=np.bool_)
    is_trusted[rows] = True
    given = np.concatenate([noisy.label, np.full(len(added), -1)])
    return TrainingList(PicturePaths(root, paths), given, true_label, is_trusted, class_names)


def exclude_probe(
    test_list: LabelledPaths, training_list: TrainingList, manifest: Manifest, description: str
) -> LabelledPaths:
    """Return the test pictures that are not in the probe set.

    Args:
        test_list: the test pictures.
        training_list: the list that the probe set was drawn from.
        manifest: the manifest, with the probe set.
        description: what the test pictures are, for the message.

    Raises:
        ValueError: if a class has none left.
    """
    root, paths = training_list.files
    probe = set(_real_paths(root, (paths[row] for row in manifest.probe_rows.tolist())))
    kept = np.array(
        [real_path not in probe for real_path in _real_paths(test_list.root, test_list.paths)], bool
    )
    lost = np.setdiff1d(test_list.label, test_list.label[kept])
    if len(lost):
        raise ValueError(
            f"The probe takes all {description} of {len(lost)} classes, such as "
            f"{training_list.class_names[lost[0]]}, and leaves none to test on: give a smaller "
            "probe_per_class, or trust others with dataset.probe_list."
        )
    return LabelledPaths(
        test_list.root,
        [path for path, keep in zip(test_list.paths, kept, strict=True) if keep],
        test_list.label[kept],
    )


def _real_paths(root: Path, paths: Iterable[str]) -> list[str]:
    """Return where pictures are, with links in their folders' paths resolved."""
    real_folder: dict[str, str] = {}
    real_paths = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in real_folder:
            real_folder[folder] = os.path.realpath(os.path.join(root, folder))
        real_paths.append(f"{real_folder[folder]}/{name}")
    return real_paths


def _relative_path(root: Path, folder: Path, path: str) -> str:
    """Return a picture's path, relative to the root if possible, so that folders may be moved."""
    if folder.is_relative_to(root):
        return os.path.join(*folder.relative_to(root).parts, path)
    return os.path.join(folder, path)
