import csv
from pathlib import Path

import numpy as np

from audit.label_next import choose, choose_tested, list_entries, write_csv
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
    entries = list_entries(np.array([3, 1]), audit, ("a", "b"), None)
    write_csv(tmp_path / "next.csv", "index", entries, [])
    rows = list(csv.DictReader((tmp_path / "next.csv").open(encoding="utf-8")))
    assert "tested" not in rows[0]
    assert [(row["index"], row["true_label"], row["given_label"]) for row in rows] == [
        ("6", "", "b"),
        ("2", "", "b"),
    ]
    assert [row["suggested_label"] for row in rows] == ["a", "b"]


def test_a_fifth_are_the_least_trusted_test_labels() -> None:
    tested = some_audit(40)
    chosen = choose_tested(tested, 23)
    assert len(chosen) == 4
    assert sorted(tested.trust[chosen]) == sorted(tested.trust)[:4]
    assert choose_tested(tested, 4).tolist() == []
    assert choose_tested(some_audit(3), 100).tolist() == some_audit(3).order.tolist()


def test_test_labels_are_spread_over_the_list_and_marked(tmp_path: Path) -> None:
    def entries(letter: str, count: int) -> list[list[str]]:
        return [[f"{letter}{number}", "", "x", "y", "0.5"] for number in range(count)]

    def listed(training: int, tested: int) -> list[tuple[str, str]]:
        write_csv(tmp_path / "n.csv", "path", entries("a", training), entries("t", tested))
        rows = csv.DictReader((tmp_path / "n.csv").open(encoding="utf-8"))
        return [(row["path"], row["tested"]) for row in rows]

    paths, marks = zip(*listed(9, 2), strict=True)
    assert " ".join(paths) == "a0 a1 a2 a3 t0 a4 a5 a6 a7 t1 a8"
    assert all((mark == "yes") == path.startswith("t") for path, mark in listed(9, 2))
    assert set(marks) == {"yes", "no"}
    # too few training examples are left: all are listed all the same
    assert [path for path, _ in listed(2, 3)] == ["a0", "a1", "t0", "t1", "t2"]
