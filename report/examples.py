"""Which examples are shown: those least trusted, and the surest corrections of each class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from audit.record import Audit
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from report.story import Story
from report.thumbnails import Thumbnail, thumbnails

LEAST_TRUSTED = 60
CORRECTIONS, OF_A_CLASS = 100, 10


class Example(NamedTuple):
    """A card: a picture, its given label, and the run's judgement of it."""

    row: int  # of the training list
    given: str
    suggested: str | None  # None: the network agrees
    doubted: bool  # whether the label is suspicious; else it is kept, whatever is suggested
    trust: float
    confidence: float
    verdict: str  # what is known about the true class; "" if nothing
    wrong: bool | None  # whether the given label is wrong, where that is known
    right: bool | None  # whether the suggestion is right, where the true class is known
    picture: Thumbnail | None
    file: str | None


class Corrections(NamedTuple):
    """The surest corrections to one class."""

    name: str
    changed: int  # how many corrections to it there are
    examples: list[Example]


class Shown(NamedTuple):
    """All examples that are shown."""

    least_trusted: list[Example]  # the first rows of `labels.csv`, in its order
    corrections: list[Corrections]


def shown(story: Story) -> Shown:
    """Return the cards; all pictures are fetched in one call."""
    audit = story.audit
    first = audit.order[:LEAST_TRUSTED]
    by_class = surest(audit)
    places = np.concatenate([first, *(few for few, _ in by_class.values())]).astype(np.int64)
    rows = np.unique(audit.index[places])
    pictures: dict[int, Thumbnail] = {}
    if story.pictures is not None and len(rows):
        made = thumbnails(story.pictures(torch.from_numpy(rows)))
        pictures = dict(zip(rows.tolist(), made, strict=True))
    cards = {int(place): _card(story, int(place), pictures) for place in places}
    return Shown(
        [cards[int(place)] for place in first],
        [
            Corrections(story.class_names[one], count, [cards[int(place)] for place in few])
            for one, (few, count) in by_class.items()
        ],
    )


def judged(examples: Sequence[Example]) -> str:
    """Return a sentence: how many of the labels are wrong, and suggestions right; "" if unknown."""
    wrong = [one.wrong for one in examples if one.wrong is not None]
    if not wrong:
        return ""
    struck = [one for one in examples if one.doubted and one.suggested is not None]
    right = [one.right for one in struck if one.right is not None]
    suggestions = (
        f", and the suggestion is right for {sum(right):,} of {len(right):,} struck through"
    )
    return (
        f"Of the {len(wrong):,} whose truth is known, {sum(wrong):,} are wrong"
        f"{suggestions if right else ''}."
    )


def surest(audit: Audit) -> dict[int, tuple[NDArray[np.int64], int]]:
    """Return class → its surest corrections, as places in the audit, and how many it has in all.

    Of more classes than there is room for, those with the most corrections are kept.
    """
    changed = np.flatnonzero(audit.believed != audit.given)
    changed = changed[np.argsort(-audit.confidence[changed], kind="stable")]
    to = audit.suggested[changed]
    counts = np.bincount(to, minlength=1)
    classes = np.argsort(-counts, kind="stable")[: min(CORRECTIONS, np.count_nonzero(counts))]
    each = min(OF_A_CLASS, CORRECTIONS // max(len(classes), 1))
    return {one: (changed[to == one][:each], int(counts[one])) for one in sorted(classes.tolist())}


def _card(story: Story, place: int, pictures: dict[int, Thumbnail]) -> Example:
    audit, names = story.audit, story.class_names
    given, suggested = int(audit.given[place]), int(audit.suggested[place])
    believed = int(audit.believed[place])
    row, clean = int(audit.index[place]), int(audit.clean[place])
    return Example(
        row=row,
        given=names[given],
        suggested=None if suggested == given else names[suggested],
        doubted=bool(audit.suspicious[place]),
        trust=float(audit.trust[place]),
        confidence=float(audit.confidence[place]),
        verdict=_verdict(given, believed, clean, names),
        wrong=None if clean == UNKNOWN else clean != given,
        right=believed == clean if clean >= 0 else None,
        picture=pictures.get(row),
        file=None if story.files is None else story.files[row],
    )


def _verdict(given: int, believed: int, clean: int, names: Sequence[str]) -> str:
    if clean == UNKNOWN:
        return ""
    if clean == KNOWN_WRONG:
        return "known to be wrong"
    if clean == given:
        return "given is right"
    return "right" if clean == believed else f"truly {names[clean]}"
