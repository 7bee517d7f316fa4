"""Pictures that occur more than once: within a split, or in both training and test data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from datamodules.noise import Labels

NOISY, PROBE = "noisy", "probe"


class Copy(NamedTuple):
    """One of several equal pictures."""

    split: str
    position: int  # in its split
    label: int


Group = list[Copy]  # equal pictures, two or more, in the splits' order


class Duplicates(NamedTuple):
    """Groups of equal pictures by kind; a group may be listed under several.

    Attributes:
        same_label: within one split, all with the same label: harmless.
        other_label: within one split, with different labels: at least one is wrong.
        leaks: in training data and a test set, or in the probe set and the noisy examples.
        in_several_tests: in several test sets, but not in training data.
    """

    same_label: list[Group]
    other_label: list[Group]
    leaks: list[Group]
    in_several_tests: list[Group]


def group_equal_pictures(
    digests: Mapping[str, Sequence[bytes]], labels: Mapping[str, Labels]
) -> list[Group]:
    """Return the groups of equal pictures, in the order of their first members.

    Args:
        digests: split → its pictures' digests (N,); empty ones are not compared.
        labels: split → its pictures' labels (N,).
    """
    count = Counter(digest for split in digests.values() for digest in split if digest)
    groups: dict[bytes, Group] = defaultdict(list)
    for split, digests_of_split in digests.items():
        labels_of_split = labels[split]
        for position, digest in enumerate(digests_of_split):
            if count[digest] > 1:
                groups[digest].append(Copy(split, position, int(labels_of_split[position])))
    return list(groups.values())


def sort_by_kind(groups: Iterable[Group]) -> Duplicates:
    """Sort the groups by kind."""
    duplicates = Duplicates([], [], [], [])
    for group in groups:
        for copies in parts_within_splits(group):
            has_one_label = len({copy.label for copy in copies}) == 1
            (duplicates.same_label if has_one_label else duplicates.other_label).append(copies)
        splits = {copy.split for copy in group}
        training_splits = splits & {NOISY, PROBE}
        if training_splits and len(splits) > 1:
            duplicates.leaks.append(group)
        elif len(splits) > 1:
            duplicates.in_several_tests.append(group)
    return duplicates


def parts_within_splits(group: Group) -> list[Group]:
    """Return the parts of a group that lie within one split, if of two or more pictures."""
    by_split: dict[str, Group] = defaultdict(list)
    for copy in group:
        by_split[copy.split].append(copy)
    return [copies for copies in by_split.values() if len(copies) > 1]


def leaking_pairs(group: Group) -> list[tuple[Copy, Copy]]:
    """Return pairs: a copy that should not be trained on, and the one that it leaks.

    These are training pictures that are in a test set, and noisy ones that are in the probe set.
    """
    test_copies = [copy for copy in group if copy.split not in (NOISY, PROBE)]
    probe_copies = [copy for copy in group if copy.split == PROBE]
    pairs = []
    for copy in group:
        if copy.split in (NOISY, PROBE) and test_copies:
            pairs.append((copy, test_copies[0]))
        elif copy.split == NOISY and probe_copies:
            pairs.append((copy, probe_copies[0]))
    return pairs
