"""Training sets whose class sizes decrease exponentially.

Pure NumPy. As in Cui et al. (CVPR 2019), "Class-Balanced Loss Based on Effective Number of
Samples".
"""

import numpy as np

from datamodules.config_checks import is_number
from datamodules.noise import Labels, rows_by_class


def long_tail_counts(largest: int, num_classes: int, imbalance: float) -> Labels:
    """Return how many examples each class keeps, (C,): n_c = largest · imbalance^(-c / (C - 1)).

    Class 0 keeps `largest`, the last one `largest / imbalance`; numbers are rounded down, as in the
    paper's code. That code's factor μ is 1 / `imbalance`.

    Args:
        largest: examples of class 0, at least 1.
        num_classes: C, at least 2.
        imbalance: largest class over smallest, at least 1; 1 keeps all classes equal.

    Raises:
        ValueError: if a setting is impossible or a class would have no example left.
    """
    if not is_number(imbalance) or imbalance < 1:
        raise ValueError(
            f"imbalance={imbalance} is not the ratio of the largest class to the smallest: give a "
            "number of at least 1 (1 changes nothing)."
        )
    if num_classes < 2 or largest < 1:
        raise ValueError(
            f"imbalance needs at least 2 classes, the largest with at least 1 example, not "
            f"{num_classes} and {largest}."
        )
    share = (1 / imbalance) ** (np.arange(num_classes) / (num_classes - 1))
    # 49 · (1/49) is a hair below 1: rounding errors must not cost an example.
    count = np.floor(largest * share + 1e-9).astype(np.int64)
    if not count[-1]:
        raise ValueError(
            f"imbalance={imbalance} leaves the last class without an example: the first has "
            f"{largest}, so give at most {largest}."
        )
    return count


def subsample(label: Labels, counts: Labels, rng: np.random.Generator) -> Labels:
    """Choose the examples that a thinned training set keeps.

    Each class's rows are shuffled and the first ones kept. The order does not depend on `counts`:
    with an equal generator, smaller counts keep a subset of what larger ones keep.

    Args:
        label: classes (N,), in [0, C).
        counts: examples to keep of each class, (C,).
        rng: draws one permutation for each class, in the classes' order.

    Returns:
        Rows of `label` in ascending order, (sum of `counts`,).

    Raises:
        ValueError: if a class has fewer examples than it is to keep.
    """
    present = np.bincount(label, minlength=len(counts))
    if len(present) > len(counts):
        raise ValueError(
            f"imbalance: there are labels up to {len(present) - 1}, but counts for "
            f"{len(counts)} classes only; give a count for each class."
        )
    short = np.flatnonzero((counts > present) | (counts < 0))
    if len(short):
        first = short[0]
        raise ValueError(
            f"imbalance: class {first} has {present[first]} examples and cannot keep "
            f"{counts[first]}; begin with a largest class of fewer, or give a larger imbalance."
        )
    kept = [
        rng.permutation(rows)[:count]
        for rows, count in zip(rows_by_class(label, len(counts)), counts, strict=True)
    ]
    return np.sort(np.concatenate(kept))
