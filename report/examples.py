"""Which examples are shown: those least trusted, and the surest corrections of each class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from audit.record import Audit
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from report.report_data import ReportData
from report.thumbnails import Thumbnail, thumbnails

MAX_LEAST_TRUSTED = 60
MAX_TESTED = 12
MAX_CORRECTIONS, MAX_PER_CLASS = 100, 10


class Example(NamedTuple):
    """A card: a picture, its given label, and the run's judgement of it."""

    row: int  # of the training list, or of the test set
    given: str
    suggested: str | None  # None: the network agrees
    suspicious: bool  # whether the label is suspicious; else it is kept, whatever is suggested
    trust: float
    confidence: float
    verdict: str  # what is known about the true class; "" if nothing
    wrong: bool | None  # whether the given label is wrong, where that is known
    right: bool | None  # whether the suggestion is right, where the true class is known
    picture: Thumbnail | None
    file: str | None
    tested: bool = False


class Corrections(NamedTuple):
    """The surest corrections to one class."""

    name: str
    changed: int  # how many corrections to it there are
    examples: list[Example]


class SelectedExamples(NamedTuple):
    """All examples that are shown."""

    least_trusted: list[Example]  # the first rows of `labels.csv`, in its order
    corrections: list[Corrections]


def select_examples(data: ReportData) -> SelectedExamples:
    """Return the cards of training examples; all pictures are fetched in one call."""
    audit = data.audit
    least_trusted = audit.order[:MAX_LEAST_TRUSTED]
    by_class = surest_corrections(audit)
    positions = np.concatenate([least_trusted, *(top for top, _ in by_class.values())]).astype(
        np.int64
    )
    rows = np.unique(audit.index[positions])
    pictures: dict[int, Thumbnail] = {}
    if data.pictures is not None and len(rows):
        images = thumbnails(data.pictures(torch.from_numpy(rows)))
        pictures = dict(zip(rows.tolist(), images, strict=True))
    cards = {
        int(position): _example(audit, data.class_names, data.files, int(position), pictures)
        for position in positions
    }
    return SelectedExamples(
        [cards[int(position)] for position in least_trusted],
        [
            Corrections(
                data.class_names[class_index], count, [cards[int(position)] for position in top]
            )
            for class_index, (top, count) in by_class.items()
        ],
    )


def least_trusted_tests(data: ReportData) -> list[Example]:
    """Return the cards of the least trusted test labels, the worst first."""
    if data.tested is None:
        return []
    audit, pictures_of, files = data.tested
    positions = audit.order[:MAX_TESTED]
    rows = audit.index[positions]
    images = thumbnails(pictures_of(torch.from_numpy(rows)))
    pictures = dict(zip(rows.tolist(), images, strict=True))
    return [
        _example(audit, data.class_names, files, position, pictures)._replace(tested=True)
        for position in positions.tolist()
    ]


def truth_summary(examples: Sequence[Example]) -> str:
    """Return a sentence: how many of the labels are wrong, and suggestions right; "" if unknown."""
    wrong = [example.wrong for example in examples if example.wrong is not None]
    if not wrong:
        return ""
    struck_through = [
        example for example in examples if example.suspicious and example.suggested is not None
    ]
    right = [example.right for example in struck_through if example.right is not None]
    suggestions = (
        f", and the suggestion is right for {sum(right):,} of {len(right):,} struck through"
    )
    return (
        f"Of the {len(wrong):,} whose truth is known, {sum(wrong):,} are wrong"
        f"{suggestions if right else ''}."
    )


def surest_corrections(audit: Audit) -> dict[int, tuple[NDArray[np.int64], int]]:
    """Return class → its surest corrections, as places in the audit, and how many it has in all.

    Of more classes than there is room for, those with the most corrections are kept.
    """
    changed = np.flatnonzero(audit.estimated_class != audit.given)
    changed = changed[np.argsort(-audit.confidence[changed], kind="stable")]
    new_class = audit.suggested[changed]
    counts = np.bincount(new_class, minlength=1)
    classes = np.argsort(-counts, kind="stable")[: min(MAX_CORRECTIONS, np.count_nonzero(counts))]
    per_class = min(MAX_PER_CLASS, MAX_CORRECTIONS // max(len(classes), 1))
    return {
        class_index: (changed[new_class == class_index][:per_class], int(counts[class_index]))
        for class_index in sorted(classes.tolist())
    }


def _example(
    audit: Audit,
    names: Sequence[str],
    files: Sequence[str] | None,
    position: int,
    pictures: dict[int, Thumbnail],
) -> Example:
    given, suggested = int(audit.given[position]), int(audit.suggested[position])
    estimated_class = int(audit.estimated_class[position])
    row, clean = int(audit.index[position]), int(audit.clean[position])
    return Example(
        row=row,
        given=names[given],
        suggested=None if suggested == given else names[suggested],
        suspicious=bool(audit.suspicious[position]),
        trust=float(audit.trust[position]),
        confidence=float(audit.confidence[position]),
        verdict=_verdict(given, estimated_class, clean, names),
        wrong=None if clean == UNKNOWN else clean != given,
        right=estimated_class == clean if clean >= 0 else None,
        picture=pictures.get(row),
        file=None if files is None else files[row],
    )


def _verdict(given: int, estimated_class: int, clean: int, names: Sequence[str]) -> str:
    if clean == UNKNOWN:
        return ""
    if clean == KNOWN_WRONG:
        return "known to be wrong"
    if clean == given:
        return "given is right"
    return "right" if clean == estimated_class else f"truly {names[clean]}"
