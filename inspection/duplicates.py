"""Pictures that are there more than once: within a split, or on both sides of an evaluation."""

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
    """Groups of equal pictures by what they do; one may be under several.

    Attributes:
        same_label: of one split, all with one label: harmless.
        other_label: of one split, with different labels: one at least is wrong.
        leaks: of a training and a test set, or of the probe and the noisy examples.
        tests: of several test sets, and of no training set.
    """

    same_label: list[Group]
    other_label: list[Group]
    leaks: list[Group]
    tests: list[Group]


def groups_of(digests: Mapping[str, Sequence[bytes]], labels: Mapping[str, Labels]) -> list[Group]:
    """Return the groups of equal pictures, in the order of their first.

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
    """Say of each group what it does."""
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
    """Return the parts of a group that lie in one split each, of two or more."""
    by_split: dict[str, Group] = defaultdict(list)
    for copy in group:
        by_split[copy.split].append(copy)
    return [alike for alike in by_split.values() if len(alike) > 1]


def leaking(group: Group) -> list[tuple[Copy, Copy]]:
    """Return the copies to take away, each with the one that it gives away.

    Those are training pictures that are in a test set, and noisy ones that are in the probe.
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
