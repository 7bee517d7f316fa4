import json

import numpy as np
import pytest

from datamodules.batch import KNOWN_WRONG, UNKNOWN
from inspection.class_counts import (
    class_rows,
    count_per_class,
    empty_classes,
    near_names,
    nearly_empty_classes,
    probe_advice,
    wrong_labels,
)

NAMES = ("a", "b", "c")


def test_counts_have_every_class():
    assert count_per_class(np.array([0, 2, 2]), 4).tolist() == [1, 0, 2, 0]
    assert count_per_class(np.array([], dtype=np.int64), 2).tolist() == [0, 0]


def test_names_that_differ_by_case_or_space_are_found():
    names = ["cat", "dog", "Cat ", "ice cream", "Ice  Cream", "caté", "cate\u0301", "cats"]
    assert near_names(names) == [
        ["cat", "Cat "],
        ["ice cream", "Ice  Cream"],
        ["caté", "cate\u0301"],
    ]
    assert near_names(["cat", "cats", "c-at"]) == []


def test_wrong_labels_by_hand():
    clean = np.array([0, 0, 0, 0, 1, 1, -1, 1])
    given = np.array([0, 0, 0, 1, 1, 1, 0, -1])
    wrong = wrong_labels(clean, given, 3)
    np.testing.assert_allclose(wrong.given, [0, 1 / 3, np.nan])
    np.testing.assert_allclose(wrong.true, [1 / 4, 0, np.nan])


def test_empty_and_nearly_empty_classes():
    count = np.array([0, 9, 10])
    assert empty_classes(count, NAMES) == ["a"]
    assert nearly_empty_classes(count, NAMES) == ["b (9)"]


@pytest.mark.parametrize(
    ("probe", "uses_probe", "words"),
    [
        ([10, 10, 10], True, []),
        ([12, 12, 12], True, []),
        ([3, 3, 3], True, [["3 trusted", "10 of each"]]),
        ([10, 40, 10], True, [["not balanced (10 to 40", "probe_per_class=10"]]),
        ([1, 40, 10], True, [["1 trusted"], ["not balanced", "probe_per_class=1 "]]),
        ([0, 40, 0], True, [["2 of 3 (a, c)"]]),
        ([10, 10, 10], False, [["30 trusted", "probe_per_class=0"]]),
    ],
)
def test_advice_on_the_probe(probe, uses_probe, words):
    advice = probe_advice(np.array(probe), NAMES, "ieg", uses_probe)
    assert len(advice) == len(words)
    for sentence, parts in zip(advice, words, strict=True):
        assert all(part in sentence for part in parts), sentence


def test_rows_are_ready_for_json():
    columns = {"noisy": np.array([3, 1, 0]), "test": np.array([1, 1, 1])}
    wrong = wrong_labels(np.array([0, 1, 1]), np.array([0, 0, 1]), 3)
    rows = json.loads(json.dumps(class_rows(NAMES, columns, wrong)))
    assert rows[0] == {
        "class": "a",
        "noisy": 3,
        "test": 1,
        "wrong_of_given": 0.5,
        "wrong_of_true": 0.0,
    }
    assert rows[2]["wrong_of_given"] is None


def test_labels_known_to_be_wrong_are_counted_though_nobody_knows_the_right_class() -> None:
    clean = np.array([0, KNOWN_WRONG, KNOWN_WRONG, UNKNOWN, 1, 1])
    given = np.array([0, 0, 1, 1, 1, 0])
    wrong = wrong_labels(clean, given, 2)
    np.testing.assert_allclose(wrong.given, [2 / 3, 1 / 2])
    np.testing.assert_allclose(wrong.true, [0, 1 / 2])
