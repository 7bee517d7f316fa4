"""What the lists of labels say about each class, before any picture is opened."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.batch import UNKNOWN
from datamodules.noise import Labels
from datamodules.phrases import first_few

Shares = npt.NDArray[np.float64]
Row = dict[str, str | int | float | None]

# Classes with fewer noisy examples are called nearly empty.
FEW_EXAMPLES = 10
# Trusted examples per class in the paper's experiments.
PAPERS_PROBE = 10


class WrongLabels(NamedTuple):
    """Shares of wrong labels where the truth is known; NaN for a class without known labels.

    Attributes:
        given: (C,) among the examples given the class.
        true: (C,) among the examples truly of the class.
    """

    given: Shares
    true: Shares


def count_per_class(label: Labels, num_classes: int) -> Labels:
    """Return the number of examples of each class, (C,)."""
    return np.bincount(label, minlength=num_classes)


def wrong_labels(clean: Labels, given: Labels, num_classes: int) -> WrongLabels:
    """Return the shares of wrong labels by class.

    Args:
        clean: true classes (N,), or `UNKNOWN`, or `KNOWN_WRONG`.
        given: given labels (N,), -1 if there is none.
        num_classes: C.
    """
    judged = (clean != UNKNOWN) & (given >= 0)
    wrong, known = judged & (clean != given), judged & (clean >= 0)
    with np.errstate(invalid="ignore"):
        return WrongLabels(
            count_per_class(given[wrong], num_classes)
            / count_per_class(given[judged], num_classes),
            count_per_class(clean[wrong & known], num_classes)
            / count_per_class(clean[known], num_classes),
        )


def near_names(names: Sequence[str]) -> list[list[str]]:
    """Return groups of names that differ only in case, spaces or Unicode form (NFKC)."""
    names_by_key: dict[str, list[str]] = defaultdict(list)
    for name in names:
        normalised = unicodedata.normalize("NFKC", name).casefold()
        names_by_key["".join(normalised.split())].append(name)
    return [group for group in names_by_key.values() if len(group) > 1]


def probe_advice(probe: Labels, names: Sequence[str], method: str, uses_probe: bool) -> list[str]:
    """Return warnings about the size of the probe set, a sentence each; none if all is well.

    Args:
        probe: trusted examples of each class, (C,), not all 0.
        names: of the classes.
        method: its name.
        uses_probe: whether the method uses the probe set.
    """
    if not uses_probe:
        return [
            f"method={method} does not look at the {probe.sum():,} trusted examples: "
            "probe_per_class=0 would train on them as noisy ones"
        ]
    untrusted_classes = [
        name for name, count in zip(names, probe.tolist(), strict=True) if not count
    ]
    if untrusted_classes:
        return [
            f"classes without a trusted example: {len(untrusted_classes)} of {len(names)} "
            f"({first_few(untrusted_classes)}); to method={method} nothing else speaks for a "
            f"class, so trust 1 or more of each, {PAPERS_PROBE} as in the paper"
        ]
    advice = []
    smallest, largest = int(probe.min()), int(probe.max())
    if smallest < PAPERS_PROBE:
        advice.append(
            f"the smallest class has {smallest} trusted examples: 1 is enough to train, and the "
            f"paper has {PAPERS_PROBE} of each"
        )
    if largest > smallest:
        advice.append(
            f"the probe is not balanced ({smallest} to {largest} of a class), and the probe loss "
            f"of method={method} counts each example once: probe_per_class={smallest} takes as "
            "many of each class"
        )
    return advice


def nearly_empty_classes(noisy: Labels, names: Sequence[str]) -> list[str]:
    """Return the nearly empty classes, each with its number of examples; not the empty ones."""
    return [
        f"{name} ({count})"
        for name, count in zip(names, noisy.tolist(), strict=True)
        if 0 < count < FEW_EXAMPLES
    ]


def empty_classes(counts: Labels, names: Sequence[str]) -> list[str]:
    """Return the classes without an example."""
    return [
        name
        for name, example_count in zip(names, counts.tolist(), strict=True)
        if not example_count
    ]


def class_rows(
    names: Sequence[str], columns: Mapping[str, Labels], wrong: WrongLabels
) -> list[Row]:
    """Return a row for each class, ready for JSON.

    Args:
        names: of the classes.
        columns: split → number of examples of each class, (C,).
        wrong: shares of wrong labels.
    """
    return [
        {
            "class": name,
            **{split: int(count[index]) for split, count in columns.items()},
            "wrong_of_given": _share(wrong.given[index]),
            "wrong_of_true": _share(wrong.true[index]),
        }
        for index, name in enumerate(names)
    ]


def _share(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
