"""Noise models: every one is a transition matrix T[i, j] = P(given = j | true = i).

Pure NumPy. Uniform and asymmetric noise follow the reference code of IEG (Zhang et al., CVPR 2020),
the digit and CIFAR-100 flips Patrini et al. (CVPR 2017), "Making Deep Neural Networks Robust to
Label Noise". Noise that depends on the image is in `instance_noise`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]
Transition = npt.NDArray[np.float64]

# truck -> automobile, bird -> aeroplane, cat <-> dog, deer -> horse
CIFAR10_FLIPS: Mapping[int, int] = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}

# look-alikes: 2 -> 7, 3 -> 8, 5 <-> 6, 7 -> 1 (Patrini et al. on MNIST)
DIGIT_FLIPS: Mapping[int, int] = {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}


def check_rate(rate: object) -> None:
    """Raise a ValueError unless `rate` is a number in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ValueError(
            f"noise={rate} is not a rate: give a number from 0 up to, but not including, 1."
        )


def uniform(num_classes: int, rate: float) -> Transition:
    """Return T = (1 - r)·I + r/C, also called symmetric noise; shape (C, C).

    With probability r a label is redrawn from *all* classes, its own included, so the effective
    rate is r(1 - 1/C): 0.72 for r = 0.8 and 10 classes. This is the dialect of IEG, DivideMix, ELR
    and MW-Net; `uniform_other` is the other one.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    return (1 - rate) * np.eye(num_classes) + rate / num_classes


def uniform_other(num_classes: int, rate: float) -> Transition:
    """Return T with 1 - r on the diagonal and r/(C - 1) elsewhere; shape (C, C).

    With probability r a label is redrawn from the *other* classes, so the effective rate is r. This
    is the symmetric noise of Co-teaching (Han et al., NeurIPS 2018), PLC and noisypy. At
    r = 1 - 1/C, which is 0.9 for 10 classes, all given labels are equally likely: they carry no
    information. Above it the right class is the least likely one.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    transition = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(transition, 1 - rate)
    return transition


def flip(num_classes: int, rate: float, pairs: Mapping[int, int]) -> Transition:
    """Return the matrix of asymmetric noise, shape (C, C).

    An example of class `source` is given class `pairs[source]` with probability `rate`. Classes
    that are no source stay clean: the effective rate is `rate` times the share of the sources.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    transition = np.eye(num_classes)
    for source, target in pairs.items():
        transition[source, source] -= rate
        transition[source, target] += rate
    return transition


def pair_flip(num_classes: int, rate: float) -> Transition:
    """Return the matrix that gives class i the label of class i + 1, the last the first's; (C, C).

    The pair flipping of Han et al. (NeurIPS 2018), "Co-teaching"; the effective rate is `rate`.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    return flip(num_classes, rate, {true: (true + 1) % num_classes for true in range(num_classes)})


def next_in_superclass(coarse_of_fine: Sequence[int]) -> dict[int, int]:
    """Pair each class with the next one of its superclass, the last with the first.

    Args:
        coarse_of_fine: the superclass of each class, length C.
    """
    members: dict[int, list[int]] = {}
    for fine, coarse in enumerate(coarse_of_fine):
        members.setdefault(coarse, []).append(fine)
    return {
        source: target
        for group in members.values()
        for source, target in zip(group, group[1:] + group[:1], strict=True)
    }


def normalised_rows(rows: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    """Return rows of probabilities (N, C), each divided by its sum, which must be nearly 1.

    Raises:
        ValueError: if an entry is negative or not finite or a sum is not 1 within 1e-6; it calls
            the rows `name` and says which is the first such row.
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
        path: a `.csv` of plain numbers without a header, a row of T a line, or a `.npy` array.
        num_classes: C.

    Raises:
        ValueError: if the file is missing or damaged or holds no such matrix; it names the file.
    """
    reader = {".csv": _read_csv, ".npy": _read_npy}.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"dataset.noise_matrix={path} is no .csv or .npy file: give one.")
    try:
        matrix = reader(path)
    except Exception as error:  # damaged bytes fail in many ways, and all of them mean this
        raise ValueError(
            f"dataset.noise_matrix={path} cannot be read ({error}): give an intact .csv of plain "
            "numbers without a header, or an intact .npy array."
        ) from None
    try:
        return check_transition(matrix, num_classes)
    except ValueError as error:
        raise ValueError(f"dataset.noise_matrix={path}: {error}") from None


def _read_csv(path: Path) -> npt.ArrayLike:
    lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets put a mark first
    return [[float(cell) for cell in line.split(",")] for line in lines if line.strip()]


def _read_npy(path: Path) -> npt.ArrayLike:
    with path.open("rb") as file:  # not np.load, which opens archives too
        return np.lib.format.read_array(file, allow_pickle=False)


def corrupt(label: Labels, transition: Transition, rng: np.random.Generator) -> Labels:
    """Draw the given labels, independently of one another.

    Args:
        label: clean labels (N,), in [0, C).
        transition: T, (C, C), rows summing to 1.
        rng: one uniform number is taken from it per example, in the examples' order.

    Returns:
        The given labels (N,).
    """
    draw = rng.random(len(label))
    cumulative = np.cumsum(transition, axis=1)
    # Rounding must not leave a gap below 1, through which a class of probability 0 could be drawn.
    cumulative /= cumulative[:, -1:]
    given = np.empty_like(label)
    for true, edges in enumerate(cumulative):
        rows = label == true
        given[rows] = np.searchsorted(edges, draw[rows], side="right")
    return given


def corrupt_rows(rows: npt.NDArray[np.float64], rng: np.random.Generator) -> Labels:
    """Draw the given labels where every example has a distribution of its own.

    `corrupt_rows(transition[label], rng)` draws what `corrupt(label, transition, rng)` does.

    Args:
        rows: P(given = j | example i), (N, C), rows summing to 1.
        rng: one uniform number is taken from it per example, in the examples' order.

    Returns:
        The given labels (N,).
    """
    draw = rng.random(len(rows))
    cumulative = np.cumsum(rows, axis=1)
    cumulative /= cumulative[:, -1:]  # as in `corrupt`
    given: Labels = (cumulative <= draw[:, None]).sum(axis=1, dtype=np.int64)
    return given


def transition_counts(clean: Labels, given: Labels, num_classes: int) -> Labels:
    """Count the examples of each (true, given) pair of classes; shape (C, C)."""
    pair = clean * num_classes + given
    return np.bincount(pair, minlength=num_classes**2).reshape(num_classes, num_classes)


def effective_rate(clean: Labels, given: Labels) -> float:
    """Return the share of labels that are wrong."""
    return float(np.mean(clean != given))
