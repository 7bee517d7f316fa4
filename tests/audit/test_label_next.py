import csv
from pathlib import Path

import numpy as np

from audit.label_next import choose, write_csv
from tests.audit.audits import some_audit


def test_classes_take_turns_as_far_as_they_last() -> None:
    audit = some_audit(303, classes=5, suggested=[0] * 3 + [1, 2, 3] * 100)
    chosen = choose(audit, 23, seed=1)
    assert np.bincount(audit.suggested[chosen]).tolist() == [3, 7, 7, 6]
    assert len(set(chosen.tolist())) == 23
    assert choose(audit, 0, seed=1).tolist() == []
    assert sorted(choose(audit, 1_000, seed=1).tolist()) == list(range(303))


def test_the_choice_is_a_function_of_the_seed_and_of_nothing_that_was_found() -> None:
    audit = some_audit(300, classes=5)
    chosen = choose(audit, 50, seed=1)
    assert np.array_equal(choose(audit._replace(trust=1 - audit.trust), 50, seed=1), chosen)
    assert not np.array_equal(choose(audit, 50, seed=2), chosen)


def test_what_is_to_be_filled_in_is_empty(tmp_path: Path) -> None:
    audit = some_audit(4, given=[0, 1, 0, 1], suggested=[1, 1, 0, 0])
    write_csv(tmp_path / "next.csv", np.array([3, 1]), audit, ("a", "b"), None)
    rows = list(csv.DictReader((tmp_path / "next.csv").open(encoding="utf-8")))
    assert [(row["index"], row["true_label"], row["given_label"]) for row in rows] == [
        ("6", "", "b"),
        ("2", "", "b"),
    ]
    assert [row["suggested_label"] for row in rows] == ["a", "b"]
