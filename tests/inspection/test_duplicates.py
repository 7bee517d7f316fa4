import numpy as np

from inspection.duplicates import Copy, group_equal_pictures, leaking_pairs, sort_by_kind

A, B, C, D = (bytes([one]) * 16 for one in range(4))


def found(**splits):
    """Group splits that are given as pairs of digest and label."""
    return group_equal_pictures(
        {name: [digest for digest, _ in pairs] for name, pairs in splits.items()},
        {name: np.array([label for _, label in pairs]) for name, pairs in splits.items()},
    )


def test_groups_have_all_copies_in_order_and_nothing_else():
    groups = found(noisy=[(A, 0), (B, 1), (A, 2), (C, 0)], test=[(D, 0), (C, 1)])
    assert groups == [
        [Copy("noisy", 0, 0), Copy("noisy", 2, 2)],
        [Copy("noisy", 3, 0), Copy("test", 1, 1)],
    ]


def test_what_cannot_be_read_equals_nothing():
    assert found(noisy=[(b"", 0), (b"", 0)], test=[(b"", 0)]) == []


def test_copies_in_a_split_are_told_apart_by_their_labels():
    alike = sort_by_kind(found(noisy=[(A, 0), (A, 0), (A, 0), (B, 0), (B, 1)]))
    assert [len(group) for group in alike.same_label] == [3]
    assert [len(group) for group in alike.other_label] == [2]
    assert alike.leaks == alike.in_several_tests == []


def test_leaks_are_training_in_test_and_noisy_in_probe():
    splits = {
        "noisy": [(A, 0), (B, 0)],
        "probe": [(B, 1), (C, 1)],
        "test": [(A, 0), (C, 1), (D, 2)],
        "val": [(D, 2)],
    }
    alike = sort_by_kind(found(**splits))
    ways = [
        [
            (copy.split, copy.position, other.split, other.position)
            for copy, other in leaking_pairs(group)
        ]
        for group in alike.leaks
    ]
    assert ways == [
        [("noisy", 0, "test", 0)],
        [("noisy", 1, "probe", 0)],
        [("probe", 1, "test", 1)],
    ]
    assert alike.in_several_tests == [[Copy("test", 2, 2), Copy("val", 0, 2)]]
    # labels that differ between splits are no matter of one split
    assert alike.same_label == alike.other_label == []


def test_one_picture_may_be_copied_and_leak():
    group = found(noisy=[(A, 0), (A, 1)], probe=[(A, 0)], test=[(A, 0), (A, 0)])[0]
    alike = sort_by_kind([group])
    assert [[copy.split for copy in copies] for copies in alike.other_label] == [["noisy"] * 2]
    assert [[copy.split for copy in copies] for copies in alike.same_label] == [["test"] * 2]
    assert [(copy.split, other.split) for copy, other in leaking_pairs(group)] == [
        ("noisy", "test"),
        ("noisy", "test"),
        ("probe", "test"),
    ]
