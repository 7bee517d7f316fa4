"""Which classes are confused: transition matrices, and what is suggested instead."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit
from datamodules.noise import transition_counts
from report.marks import shade
from report.svg import Axis, Figure, Frame, letters, percent

NAMED = 14  # with up to this many classes, a matrix shows names and numbers
DRAWN = 100  # with up to this many classes, a matrix is drawn
_LISTED = 12
_LONGEST = 12  # letters of a class name beside a matrix


class Change(NamedTuple):
    """A frequent suggestion for suspicious labels."""

    given: str
    suggested: str
    changed: int
    share: float  # of all labels of the given class
    right: float | None  # share of these suggestions that are right, where the true class is known


class Flip(NamedTuple):
    """A true class that was given the label of another."""

    true: str
    given: str
    true_share: float | None  # of the examples of the true class
    estimated_share: float | None  # the same by the classes that the audit believes


def changes(audit: Audit, class_names: Sequence[str]) -> list[Change]:
    """Return the commonest suggestions for suspicious labels, the most frequent first."""
    size = len(class_names)
    changed = audit.believed != audit.given
    given, suggested, clean = (
        part[changed] for part in (audit.given, audit.suggested, audit.clean)
    )
    pairs, pair, counts = np.unique(
        given * size + suggested, return_inverse=True, return_counts=True
    )
    knowns = np.bincount(pair, weights=clean >= 0, minlength=len(counts))
    rights = np.bincount(pair, weights=clean == suggested, minlength=len(counts))
    given_so = np.bincount(audit.given, minlength=size)
    most = np.argsort(-counts, kind="stable")[:_LISTED]
    return [
        Change(
            class_names[pairs[one] // size],
            class_names[pairs[one] % size],
            int(counts[one]),
            float(counts[one] / given_so[pairs[one] // size]),
            float(rights[one] / knowns[one]) if knowns[one] else None,
        )
        for one in most
    ]


class Transitions(NamedTuple):
    """How often each class (a row) was given each label (a column), counts (C, C)."""

    true: NDArray[Any]  # over the examples of known true class, perhaps none
    estimated: NDArray[Any]  # by the classes that the audit believes


def transitions(audit: Audit, num_classes: int) -> Transitions:
    """Return the counts."""
    known = audit.clean >= 0
    return Transitions(
        transition_counts(audit.clean[known], audit.given[known], num_classes),
        transition_counts(audit.believed, audit.given, num_classes),
    )


def matrices(counts: Transitions, class_names: Sequence[str]) -> list[Figure]:
    """Return heat maps of the transition matrices that are not empty; none for too many classes."""
    if len(class_names) > DRAWN:
        return []
    return [
        _matrix(f"{name.capitalize()} transition matrix", shares(one), class_names)
        for name, one in counts._asdict().items()
        if np.any(one)
    ]


def flips(counts: Transitions, class_names: Sequence[str]) -> list[Flip]:
    """Return the largest estimated off-diagonal entries, if the heat maps do not show numbers."""
    if len(class_names) <= NAMED:
        return []
    off = np.array(counts.estimated, dtype=np.float64)
    np.fill_diagonal(off, 0)
    most = np.argsort(-off, axis=None, kind="stable")[:_LISTED]
    both = [shares(one) if np.any(one) else None for one in counts]
    rows, columns = np.unravel_index(most, off.shape)
    return [
        Flip(
            class_names[row],
            class_names[column],
            *(None if share is None else float(share[row, column]) for share in both),
        )
        for row, column in zip(rows, columns, strict=True)
        if off[row, column] > 0
    ]


def shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts as shares of their row; an empty row stays 0."""
    counts = np.asarray(counts, dtype=np.float64)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _matrix(title: str, share: NDArray[np.float64], class_names: Sequence[str]) -> Figure:
    size = len(share)
    ticks = _ticks(class_names)
    x = Axis("given label", 0, size, ticks, slanted=max(letters(text) for _, text in ticks) > 3)
    y = Axis("true class", size, 0, ticks)
    kept = percent(float(np.trace(share)) / np.count_nonzero(share.any(axis=1)))
    label = f"{title}; {kept} of a class keep their label, mean over classes"
    frame = Frame(label, x, y, square=True)
    shade(frame, share, [*range(size + 1)], [*range(size + 1)], "blue", 1.0)
    if size <= NAMED:
        for row, column in zip(*np.nonzero(np.rint(share * 100)), strict=True):
            words = f"{share[row, column] * 100:.0f}"
            frame.text(frame.x(column + 0.5), frame.y(row + 0.5) + 4, words, "cell middle")
    return Figure(title, frame.svg, shades=[percent(one) for one in (0, 0.25, 1)])


def _ticks(class_names: Sequence[str]) -> list[tuple[float, str]]:
    if len(class_names) <= NAMED:
        return [(place + 0.5, _short(name)) for place, name in enumerate(class_names)]
    every = 10 if len(class_names) > 50 else 5
    return [(place + 0.5, str(place)) for place in range(0, len(class_names), every)]


def _short(name: str) -> str:
    if letters(name) <= _LONGEST:
        return name
    while letters(name) >= _LONGEST:
        name = name[:-1]
    return f"{name}…"
