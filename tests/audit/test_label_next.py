import csv
from pathlib import Path

import numpy as np

from audit.label_next import choose, write_csv
from tests.audit.audits import some_audit


def test_the_surest_corrections_come_first_and_classes_take_turns() -> None:
    audit = some_audit(
        7,
        suggested=[1, 0, 0, 0, 1, 1, 0],
        trust=[0.1, 0.2, 0.3, 0.9, 0.8, 0.4, 0.1],
        confidence=[0.6, 0.7, 0.8, 0.99, 0.95, 0.9, 0.5],
    )
    # class 0: 2, 1, 6 are suspicious, 3 is not; class 1: 5, 0 are, 4 is not
    assert choose(audit, 7).tolist() == [2, 5, 1, 0, 6, 4, 3]
    assert choose(audit, 3).tolist() == [2, 5, 1]
    assert choose(audit, 0).tolist() == []
    assert sorted(choose(audit, 100).tolist()) == list(range(7))


def test_the_list_is_balanced_as_far_as_classes_last() -> None:
    audit = some_audit(300, classes=5, suggested=np.arange(300) % 5)
    chosen = audit.suggested[choose(audit, 50)]
    assert np.bincount(chosen).tolist() == [10] * 5


def test_what_is_to_be_filled_in_is_empty(tmp_path: Path) -> None:
    audit = some_audit(4, given=[0, 1, 0, 1], suggested=[1, 1, 0, 0])
    write_csv(tmp_path / "next.csv", np.array([3, 1]), audit, ("a", "b"), None)
    rows = list(csv.DictReader((tmp_path / "next.csv").open(encoding="utf-8")))
    assert [(row["index"], row["true_label"], row["given_label"]) for row in rows] == [
        ("6", "", "b"),
        ("2", "", "b"),
    ]
    assert [row["suggested_label"] for row in rows] == ["a", "b"]
