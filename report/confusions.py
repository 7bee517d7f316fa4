"""Which classes are confused: transition matrices, and what is suggested instead."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit
from datamodules.noise import transition_counts
from report.marks import shade
from report.svg import Axis, Figure, Frame, percent, text_width

MAX_NAMED = 14  # with up to this many classes, a matrix shows names and numbers
MAX_DRAWN = 100  # with up to this many classes, a matrix is drawn
_MAX_ROWS = 12
_MAX_NAME_LENGTH = 12  # letters of a class name beside a matrix


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
    estimated_share: float | None  # the same by the classes that the audit estimates


def frequent_changes(audit: Audit, class_names: Sequence[str]) -> list[Change]:
    """Return the commonest suggestions for suspicious labels, the most frequent first."""
    size = len(class_names)
    changed = audit.estimated_class != audit.given
    given, suggested, clean = (
        column[changed] for column in (audit.given, audit.suggested, audit.clean)
    )
    pairs, pair, counts = np.unique(
        given * size + suggested, return_inverse=True, return_counts=True
    )
    known_counts = np.bincount(pair, weights=clean >= 0, minlength=len(counts))
    right_counts = np.bincount(pair, weights=clean == suggested, minlength=len(counts))
    given_counts = np.bincount(audit.given, minlength=size)
    most = np.argsort(-counts, kind="stable")[:_MAX_ROWS]
    return [
        Change(
            class_names[pairs[row] // size],
            class_names[pairs[row] % size],
            int(counts[row]),
            float(counts[row] / given_counts[pairs[row] // size]),
            float(right_counts[row] / known_counts[row]) if known_counts[row] else None,
        )
        for row in most
    ]


class TransitionCounts(NamedTuple):
    """How often each class (a row) was given each label (a column), counts (C, C)."""

    true: NDArray[Any]  # over the examples of known true class, perhaps none
    estimated: NDArray[Any]  # by the classes that the audit estimates


def count_transitions(audit: Audit, num_classes: int) -> TransitionCounts:
    """Return the counts."""
    known = audit.clean >= 0
    return TransitionCounts(
        transition_counts(audit.clean[known], audit.given[known], num_classes),
        transition_counts(audit.estimated_class, audit.given, num_classes),
    )


def transition_figures(counts: TransitionCounts, class_names: Sequence[str]) -> list[Figure]:
    """Return heat maps of the transition matrices that are not empty; none for too many classes."""
    if len(class_names) > MAX_DRAWN:
        return []
    return [
        _matrix(f"{name.capitalize()} transition matrix", row_shares(matrix), class_names)
        for name, matrix in counts._asdict().items()
        if np.any(matrix)
    ]


def largest_flips(counts: TransitionCounts, class_names: Sequence[str]) -> list[Flip]:
    """Return the largest estimated off-diagonal entries, if the heat maps do not show numbers."""
    if len(class_names) <= MAX_NAMED:
        return []
    off_diagonal = np.array(counts.estimated, dtype=np.float64)
    np.fill_diagonal(off_diagonal, 0)
    most = np.argsort(-off_diagonal, axis=None, kind="stable")[:_MAX_ROWS]
    both = [row_shares(matrix) if np.any(matrix) else None for matrix in counts]
    rows, columns = np.unravel_index(most, off_diagonal.shape)
    return [
        Flip(
            class_names[row],
            class_names[column],
            *(None if share is None else float(share[row, column]) for share in both),
        )
        for row, column in zip(rows, columns, strict=True)
        if off_diagonal[row, column] > 0
    ]


def row_shares(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return counts as shares of their row; an empty row stays 0."""
    counts = np.asarray(counts, dtype=np.float64)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _matrix(title: str, share: NDArray[np.float64], class_names: Sequence[str]) -> Figure:
    size = len(share)
    ticks = _ticks(class_names)
    x = Axis("given label", 0, size, ticks, slanted=max(text_width(text) for _, text in ticks) > 3)
    y = Axis("true class", size, 0, ticks)
    diagonal_share = percent(float(np.trace(share)) / np.count_nonzero(share.any(axis=1)))
    label = f"{title}; {diagonal_share} of a class keep their label, mean over classes"
    frame = Frame(label, x, y, square=True)
    shade(frame, share, [*range(size + 1)], [*range(size + 1)], "blue", 1.0)
    if size <= MAX_NAMED:
        for row, column in zip(*np.nonzero(np.rint(share * 100)), strict=True):
            text = f"{share[row, column] * 100:.0f}"
            frame.text(frame.x(column + 0.5), frame.y(row + 0.5) + 4, text, "cell middle")
    return Figure(title, frame.svg, shades=[percent(share) for share in (0, 0.25, 1)])


def _ticks(class_names: Sequence[str]) -> list[tuple[float, str]]:
    if len(class_names) <= MAX_NAMED:
        return [(position + 0.5, _short(name)) for position, name in enumerate(class_names)]
    spacing = 10 if len(class_names) > 50 else 5
    return [(position + 0.5, str(position)) for position in range(0, len(class_names), spacing)]


def _short(name: str) -> str:
    if text_width(name) <= _MAX_NAME_LENGTH:
        return name
    while text_width(name) >= _MAX_NAME_LENGTH:
        name = name[:-1]
    return f"{name}…"
