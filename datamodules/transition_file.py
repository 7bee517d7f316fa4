"""Read the user's transition matrix from a file; check that rows are distributions."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from datamodules.noise import Transition


def normalised_rows(rows: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """Return rows of probabilities (N, C), each divided by its sum, which must be nearly 1.

    Raises:
        ValueError: if an entry is negative or not finite or a sum is not 1 within 1e-6; it calls
            the rows `name` and gives the first such row.
    """
    possible: npt.NDArray[np.bool_] = np.all(np.isfinite(rows) & (rows >= 0), axis=1)
    total: npt.NDArray[np.float64] = np.where(possible[:, None], rows, 0).sum(axis=1)
    wrong = np.flatnonzero(~possible | (np.abs(total - 1) > 1e-6))
    if len(wrong):
        first = wrong[0]
        fault = f"sums to {total[first]:.9g}" if possible[first] else "has an impossible entry"
        raise ValueError(
            f"{name}: row {first}, counted from 0, {fault}; give every row numbers from 0 to 1 "
            "that sum to 1 within 1e-6."
        )
    return rows / total[:, None]


def check_transition(matrix: npt.ArrayLike, num_classes: int) -> Transition:
    """Return a given T as float64, (C, C), its rows divided by their sums.

    Args:
        matrix: T[i, j] = P(given = j | true = i), (C, C); rows sum to 1 within 1e-6.
        num_classes: C.

    Raises:
        ValueError: if it is no such matrix; it names the first wrong row.
    """
    try:
        table = np.asarray(matrix)
    except ValueError:  # rows of different lengths
        table = np.empty(0)
    if table.dtype.kind not in "iuf" or table.shape != (num_classes, num_classes):
        what = f"{table.dtype} of shape {table.shape}" if table.size else "no table"
        raise ValueError(
            f"noise_matrix is {what}: give {num_classes} rows, one for each true class, of "
            f"{num_classes} numbers, one for each given class."
        )
    return normalised_rows(table.astype(np.float64), "noise_matrix")


def read_transition(path: Path, num_classes: int) -> Transition:
    """Read T, (C, C), from a file and check it as `check_transition` does.

    Args:
        path: a `.csv` of plain numbers without a header, one row of T per line, or a `.npy` array.
        num_classes: C.

    Raises:
        ValueError: if the file is missing or damaged or holds no such matrix; it names the file.
    """
    reader = {".csv": _read_csv, ".npy": _read_npy}.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"dataset.noise_matrix={path} is no .csv or .npy file: give one.")
    try:
        matrix = reader(path)
    except Exception as error:  # damaged data raise many kinds, and all of them mean this
        raise ValueError(
            f"dataset.noise_matrix={path} cannot be read ({error}): give an intact .csv of plain "
            "numbers without a header, or an intact .npy array."
        ) from None
    try:
        return check_transition(matrix, num_classes)
    except ValueError as error:
        raise ValueError(f"dataset.noise_matrix={path}: {error}") from None


def _read_csv(path: Path) -> npt.ArrayLike:
    lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets add a BOM
    return [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]


def _read_npy(path: Path) -> npt.ArrayLike:
    with path.open("rb") as file:  # not np.load, which also opens archives
        return np.lib.format.read_array(file, allow_pickle=False)
