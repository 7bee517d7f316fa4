"""Labels read from a file: those that another run drew, or the user's own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.tables import class_numbers, read_table, refuse_twice
from datamodules.words import some

_HOW = (
    "give the labels.npz of a run, a .npy file or an array in a .npz file (file.npz:name) of whole "
    "numbers, or a .csv file with a column `label` (and `index`, where not all are there in order)"
)


def read_stated(given: str, size: int, class_names: Sequence[str]) -> Manifest | Labels:
    """Return the labels that `labels=` names: a run's manifest, or a label for each training row.

    Args:
        given: path of `labels.npz`; of an array of N whole numbers, as `file.npy` or
            `file.npz:name`; or of a table `file.csv` with one label per row, as number or name.
        size: N, rows of the data set's training list.
        class_names: of its C classes.

    Raises:
        ValueError: if the file is missing, is none of these, or does not fit the data set.
    """
    file, _, key = given.partition(".npz:")
    path = Path(f"{file}.npz" if key else file).expanduser()
    if not path.is_file():
        raise ValueError(f"labels={given} is not there: {_HOW}.")
    if path.suffix == ".npz" and not key:
        stated = Manifest.load(path)
        _check_manifest(stated, given, size, class_names)
        return stated
    try:
        if path.suffix == ".csv":
            label = _from_table(path, size, class_names)
        elif path.suffix in (".npy", ".npz"):
            label = _whole(_array(path, key))
        else:
            raise ValueError(f"it is a {path.suffix or 'nameless'} file")
    except (OSError, ValueError) as error:
        raise ValueError(f"labels={given} cannot be used ({error}): {_HOW}.") from None
    if label.shape != (size,) or label.min() < 0 or label.max() >= len(class_names):
        extent = f" from {label.min()} to {label.max()}" if len(label) else ""
        raise ValueError(
            f"labels={given} holds {label.size:,} labels{extent}: give {size:,}, one for each row "
            f"of the training list, from 0 to {len(class_names) - 1}."
        )
    return label


def read_checked(
    given: Sequence[str], size: int, class_names: Sequence[str]
) -> tuple[Labels, Labels]:
    """Return the rows that `dataset.trusted=` lists, and their classes, (K,) each.

    Args:
        given: paths of tables with `index` and `true_label`; rows without the latter are skipped.
        size: N, rows of the data set's training list.
        class_names: of its C classes.

    Raises:
        ValueError: if one is no such table, does not fit the data set, or names a row twice.
    """
    key, number = "dataset.trusted", class_numbers(class_names)
    checked: list[tuple[str, str]] = []
    for file in given:
        table = read_table(Path(file).expanduser(), key, ("index", "true_label"))
        pairs = zip(table["index"], table["true_label"], strict=True)
        checked += [(index, name) for index, name in pairs if name]
    said = f"{key}={', '.join(given)}"
    for index, name in checked:
        if name not in number:
            raise ValueError(
                f"{said} gives example {index} the class {name!r}: give one of "
                f"{some(class_names)}, or its number."
            )
        if not index.isdecimal() or int(index) >= size:
            raise ValueError(
                f"{said} lists example {index!r}: give whole numbers from 0 to {size - 1}."
            )
    rows = np.array([int(index) for index, _ in checked], dtype=np.int64)
    refuse_twice([str(row) for row in rows], said)
    return rows, np.array([number[name] for _, name in checked], dtype=np.int64)


def _check_manifest(stated: Manifest, given: str, size: int, class_names: Sequence[str]) -> None:
    rows = np.concatenate([stated.train_rows, stated.probe_rows])
    if stated.class_names != tuple(class_names) or rows.min() < 0 or rows.max() >= size:
        raise ValueError(
            f"labels={given} was drawn for {stated.settings['dataset']}, with "
            f"{len(stated.class_names)} classes and rows up to {rows.max():,}: give labels of the "
            f"data set chosen, with {len(class_names)} classes and {size:,} rows."
        )


def _array(path: Path, key: str) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        return loaded[key] if key else loaded
    except Exception as error:  # unpacking raises many kinds
        raise ValueError(str(error)) from None


def _whole(array: np.ndarray) -> Labels:
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(f"it holds {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


def _from_table(path: Path, size: int, class_names: Sequence[str]) -> Labels:
    number, table = class_numbers(class_names), read_table(path, "labels", ("label",))
    index = table.get("index", [""] * len(table["label"]))
    label = np.full(size, -1, dtype=np.int64)
    for place, (said, name) in enumerate(zip(index, table["label"], strict=True)):
        where = int(said or place)
        if name not in number:
            raise ValueError(f"row {place + 1} has the label {name!r}, which is no class")
        if not 0 <= where < size or label[where] >= 0:
            raise ValueError(f"row {place + 1} is of example {where}, none or there already")
        label[where] = number[name]
    missing = np.flatnonzero(label < 0)
    if len(missing):
        raise ValueError(f"{len(missing):,} examples have no label, the first is {missing[0]}")
    return label
