"""Labels read from a file: those that another run drew, or the user's own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.phrases import first_few
from datamodules.tables import check_unique, class_indices, read_table

_REMEDY = (
    "give the labels.npz of a run, a .npy file or an array in a .npz file (file.npz:name) of whole "
    "numbers, or a .csv file with a column `label` (and `index`, where not all are there in order)"
)


def read_label_file(setting: str, size: int, class_names: Sequence[str]) -> Manifest | Labels:
    """Return the labels that `labels=` names: a run's manifest, or a label for each training row.

    Args:
        setting: path of `labels.npz`; of an array of N whole numbers, as `file.npy` or
            `file.npz:name`; or of a table `file.csv` with one label per row, as number or name.
        size: N, rows of the data set's training list.
        class_names: of its C classes.

    Raises:
        ValueError: if the file is missing, is none of these, or does not fit the data set.
    """
    file, _, key = setting.partition(".npz:")
    path = Path(f"{file}.npz" if key else file).expanduser()
    if not path.is_file():
        raise ValueError(f"labels={setting} is not there: {_REMEDY}.")
    if path.suffix == ".npz" and not key:
        manifest = Manifest.load(path)
        _check_manifest(manifest, setting, size, class_names)
        return manifest
    try:
        if path.suffix == ".csv":
            label = _read_label_table(path, size, class_names)
        elif path.suffix in (".npy", ".npz"):
            label = _as_integer_labels(_load_array(path, key))
        else:
            raise ValueError(f"it is a {path.suffix or 'nameless'} file")
    except (OSError, ValueError) as error:
        raise ValueError(f"labels={setting} cannot be used ({error}): {_REMEDY}.") from None
    if label.shape != (size,) or label.min() < 0 or label.max() >= len(class_names):
        extent = f" from {label.min()} to {label.max()}" if len(label) else ""
        raise ValueError(
            f"labels={setting} holds {label.size:,} labels{extent}: give {size:,}, one for each "
            f"row of the training list, from 0 to {len(class_names) - 1}."
        )
    return label


def read_checked_tables(
    files: Sequence[str], size: int, class_names: Sequence[str]
) -> tuple[Labels, Labels]:
    """Return the rows that `dataset.trusted=` lists, and their classes, (K,) each.

    Args:
        files: paths of tables with `index` and `true_label`; rows without the latter are skipped.
        size: N, rows of the data set's training list.
        class_names: of its C classes.

    Raises:
        ValueError: if one is no such table, does not fit the data set, or names a row twice.
    """
    key, class_of = "dataset.trusted", class_indices(class_names)
    checked: list[tuple[str, str]] = []
    for file in files:
        table = read_table(Path(file).expanduser(), key, ("index", "true_label"))
        pairs = zip(table["index"], table["true_label"], strict=True)
        checked += [(index, name) for index, name in pairs if name]
    setting = f"{key}={', '.join(files)}"
    for index, name in checked:
        if name not in class_of:
            raise ValueError(
                f"{setting} gives example {index} the class {name!r}: give one of "
                f"{first_few(class_names)}, or its number."
            )
        if not index.isdecimal() or int(index) >= size:
            raise ValueError(
                f"{setting} lists example {index!r}: give whole numbers from 0 to {size - 1}."
            )
    rows = np.array([int(index) for index, _ in checked], dtype=np.int64)
    check_unique([str(row) for row in rows], setting)
    return rows, np.array([class_of[name] for _, name in checked], dtype=np.int64)


def _check_manifest(
    manifest: Manifest, setting: str, size: int, class_names: Sequence[str]
) -> None:
    rows = np.concatenate([manifest.train_rows, manifest.probe_rows])
    if manifest.class_names != tuple(class_names) or rows.min() < 0 or rows.max() >= size:
        raise ValueError(
            f"labels={setting} was drawn for {manifest.settings['dataset']}, with "
            f"{len(manifest.class_names)} classes and rows up to {rows.max():,}: give labels of "
            f"the data set chosen, with {len(class_names)} classes and {size:,} rows."
        )


def _load_array(path: Path, key: str) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded[key] if key else loaded
    except Exception as error:  # unpacking raises many kinds
        raise ValueError(str(error)) from None


def _as_integer_labels(array: np.ndarray) -> Labels:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def _read_label_table(path: Path, size: int, class_names: Sequence[str]) -> Labels:
    class_of, table = class_indices(class_names), read_table(path, "labels", ("label",))
    index = table.get("index", [""] * len(table["label"]))
    label = np.full(size, -1, dtype=np.int64)
    for position, (index_text, name) in enumerate(zip(index, table["label"], strict=True)):
        row = int(index_text or position)
        if name not in class_of:
            raise ValueError(f"row {position + 1} has the label {name!r}, which is no class")
        if not 0 <= row < size or label[row] >= 0:
            raise ValueError(f"row {position + 1} is of example {row}, none or there already")
        label[row] = class_of[name]
    missing = np.flatnonzero(label < 0)
    if len(missing):
        raise ValueError(f"{len(missing):,} examples have no label, the first is {missing[0]}")
    return label
