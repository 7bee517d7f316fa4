"""Pictures that occur more than once: within a split, or in both training and test data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from datamodules.noise import Labels

NOISY, PROBE = "noisy", "probe"


class Copy(NamedTuple):
    """One of several equal pictures."""

    split: str
    place: int  # in its split
    label: int


Group = list[Copy]  # equal pictures, two or more, in the splits' order


class Duplicates(NamedTuple):
    """Groups of equal pictures by kind; a group may be listed under several.

    Attributes:
        same_label: within one split, all with the same label: harmless.
        other_label: within one split, with different labels: at least one is wrong.
        leaks: in training data and a test set, or in the probe set and the noisy examples.
        tests: in several test sets, but not in training data.
    """

    same_label: list[Group]
    other_label: list[Group]
    leaks: list[Group]
    tests: list[Group]


def groups_of(digests: Mapping[str, Sequence[bytes]], labels: Mapping[str, Labels]) -> list[Group]:
    """Return the groups of equal pictures, in the order of their first members.

    Args:
        digests: split → its pictures' digests (N,); empty ones are not compared.
        labels: split → its pictures' labels (N,).
    """
    count = Counter(one for split in digests.values() for one in split if one)
    groups: dict[bytes, Group] = defaultdict(list)
    for split, ones in digests.items():
        label = labels[split]
        for place, one in enumerate(ones):
            if count[one] > 1:
                groups[one].append(Copy(split, place, int(label[place])))
    return list(groups.values())


def sort_out(groups: Iterable[Group]) -> Duplicates:
    """Sort the groups by kind."""
    found = Duplicates([], [], [], [])
    for group in groups:
        for alike in within_splits(group):
            one_label = len({copy.label for copy in alike}) == 1
            (found.same_label if one_label else found.other_label).append(alike)
        splits = {copy.split for copy in group}
        training = splits & {NOISY, PROBE}
        if training and len(splits) > 1:
            found.leaks.append(group)
        elif len(splits) > 1:
            found.tests.append(group)
    return found


def within_splits(group: Group) -> list[Group]:
    """Return the parts of a group that lie within one split, if of two or more pictures."""
    by_split: dict[str, Group] = defaultdict(list)
    for copy in group:
        by_split[copy.split].append(copy)
    return [alike for alike in by_split.values() if len(alike) > 1]


def leaking(group: Group) -> list[tuple[Copy, Copy]]:
    """Return pairs: a copy that should not be trained on, and the one that it leaks.

    These are training pictures that are in a test set, and noisy ones that are in the probe set.
    """
    tests = [copy for copy in group if copy.split not in (NOISY, PROBE)]
    probe = [copy for copy in group if copy.split == PROBE]
    pairs = []
    for copy in group:
        if copy.split in (NOISY, PROBE) and tests:
            pairs.append((copy, tests[0]))
        elif copy.split == NOISY and probe:
            pairs.append((copy, probe[0]))
    return pairs
