"""The class-balanced probe set, drawn from the trusted examples."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from datamodules.noise import Labels, rows_by_class

Mask = npt.NDArray[np.bool_]
# Name of a test set that is a part of the main one: what has labels that are known to be right.
CHECKED = "checked"
T = TypeVar("T")


def check_probe_per_class(per_class: int, smallest_class: int) -> None:
    """Raise a ValueError unless a probe of that size leaves each class an example to train on."""
    if not 0 <= per_class < smallest_class:
        raise ValueError(
            f"probe_per_class={per_class} cannot be drawn: the smallest class has {smallest_class} "
            f"examples, one of which must stay for training; give 0 to {smallest_class - 1}."
        )


def draw_probe(
    label: Labels, per_class: int, rng: np.random.Generator, candidate: Mask | None = None
) -> Labels:
    """Draw a class-balanced probe set without replacement.

    The rows are class-interleaved, 0, 1, ..., C-1, 0, 1, ..., so that any C consecutive ones hold
    each class once (the reference's order; it never shuffles them).

    Args:
        label: clean labels (N,), below 0 where there is none; every class in [0, C) occurs, unless
            `per_class` is 0.
        per_class: rows of each class.
        rng: the generator to draw with.
        candidate: (N,) which rows may be drawn; None: all.

    Returns:
        Rows of `label`, (C * per_class,).
    """
    if not per_class:
        return np.empty(0, dtype=np.int64)
    num_classes = int(label.max()) + 1
    is_candidate = np.ones(len(label), dtype=np.bool_) if candidate is None else candidate
    chosen = [
        rng.choice(rows[is_candidate[rows]], per_class, replace=False)
        for rows in rows_by_class(label, num_classes)
    ]
    return np.stack(chosen, axis=1).ravel()


def insert_every(distance: int, added: Sequence[T], entries: Sequence[T]) -> list[T]:
    """Return the entries with one of the added at every so many places, as far as these last."""
    result = list(entries)
    for number, entry in enumerate(added, start=1):
        result.insert(distance * number - 1, entry)
    return result


class Candidates(NamedTuple):
    """What each of the N rows of a training list may be, before anything is drawn."""

    true: Labels  # (N,) the true class, UNKNOWN, or KNOWN_WRONG
    noisy: Mask | None = None  # (N,) which rows may be noisy examples; None: all
    trusted: Mask | None = None  # (N,) which rows the probe may be drawn from; None: all


class Checked(NamedTuple):
    """Labels that the user checked."""

    row: Labels  # (K,) of the training list
    label: Labels  # (K,) the true class


class Unlabelled(NamedTuple):
    """A picture of the user's own without a label, as one that a cleaned list left out."""

    path: str
    split: str  # train or test
    true_label: str  # the class it is known to have; "": unknown
    given_label: str  # the label that it once came with; "": unknown


NONE_CHECKED = Checked(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def interleave_classes(rows: Labels, label: Labels) -> Labels:
    """Return rows (M,) with the classes interleaved, as far as each lasts.

    Args:
        rows: to be reordered; rows of the same class keep their order.
        label: of all rows, (N,).
    """
    order = np.argsort(label[rows], kind="stable")
    _, start = np.unique(label[rows][order], return_index=True)
    turn = np.arange(len(rows)) - np.repeat(start, np.diff([*start, len(rows)]))
    return rows[order][np.argsort(turn, kind="stable")]
