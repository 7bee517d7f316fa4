import csv
from pathlib import Path

import numpy as np
import pytest

from audit.cleaned import clean, columns, manifest, summary
from audit.record import Audit
from audit.table import write_csv
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from tests.audit.audits import some_audit

NAMES = ("ape", "bee", "cow")


@pytest.fixture
def audit() -> Audit:
    """Five examples: trusted; doubted and replaced; doubted, the suggestion weak; and so on."""
    return some_audit(
        5,
        index=[1, 2, 4, 7, 9],
        given=[0, 0, 1, 1, 2],
        clean=[0, 1, 2, UNKNOWN, KNOWN_WRONG],
        suggested=[1, 1, 2, 0, 2],
        confidence=[0.9, 0.8, 0.4, 0.7, 0.99],
        trust=[0.5, 0.1, 0.2, 0.3, 0.4],
    )


@pytest.fixture
def drawn(audit: Audit) -> Manifest:
    return Manifest(
        settings={"dataset": "toy", "seed": 1, "noise_model": "x", "probe_per_class": 1},
        class_names=NAMES,
        train_rows=np.array([1, 2, 4, 7, 8, 9]),
        given=np.array([0, 0, 1, 1, 1, 2]),
        clean=np.array([0, 1, 2, UNKNOWN, 1, KNOWN_WRONG]),
        probe_rows=np.array([0, 3, 5]),
        probe_label=np.array([0, 1, 2]),
    )


def test_the_rule_by_hand(audit: Audit) -> None:
    cleaned = clean(audit, confidence=0.5)
    # trusted at one half exactly; the last is doubted, but nothing else is suggested
    assert cleaned.label.tolist() == [0, 1, -1, 0, -1]
    assert cleaned.replaced.tolist() == [False, True, False, True, False]
    assert cleaned.left_out.tolist() == [False, False, True, False, True]
    assert cleaned.expected_precision == pytest.approx((0.8 + 0.7) / 2)
    assert clean(audit, confidence=0.75).label.tolist() == [0, 1, -1, -1, -1]
    assert clean(audit, confidence=1).expected_precision is None


def test_what_it_is_worth_is_counted_where_the_truth_is_known(audit: Audit) -> None:
    facts = summary(clean(audit, 0.5), audit)
    assert facts["cleaned/replaced"] == facts["cleaned/left_out"] == 2
    assert facts["cleaned/precision"] == 1  # of the one replaced whose true class is known
    assert facts["cleaned/noise_before"] == 3 / 4
    assert facts["cleaned/noise_after"] == 0  # of the two that are left and known
    unknown = audit._replace(clean=np.full(5, UNKNOWN))
    assert set(summary(clean(unknown, 0.5), unknown)) == {
        "cleaned/replaced",
        "cleaned/left_out",
        "cleaned/expected_precision",
    }


def test_a_known_error_that_stays_is_noise_and_one_replaced_is_not_judged() -> None:
    two = some_audit(
        2,
        given=[0, 0],
        clean=[KNOWN_WRONG] * 2,
        suggested=[1, 1],
        confidence=[0.9, 0.9],
        trust=[0.1, 0.9],
    )
    facts = summary(clean(two, 0.5), two)
    assert facts["cleaned/noise_after"] == 1
    assert "cleaned/precision" not in facts


def test_cleaned_draws_can_be_trained_on(audit: Audit, drawn: Manifest, tmp_path: Path) -> None:
    made = manifest(clean(audit, 0.5), audit, drawn, 0.5)
    made.write(tmp_path / "labels_cleaned.npz")
    found = Manifest.load(tmp_path / "labels_cleaned.npz")
    # row 8 was never looked at and stays
    assert found.train_rows.tolist() == [1, 2, 7, 8]
    assert found.given.tolist() == [0, 1, 0, 1]
    assert found.clean.tolist() == [0, 1, UNKNOWN, 1]
    assert np.array_equal(found.probe_rows, drawn.probe_rows)
    assert found.settings["cleaned_from"] == drawn.hash
    assert found.hash != drawn.hash


def test_the_table_has_every_example_once(audit: Audit, drawn: Manifest, tmp_path: Path) -> None:
    files = [f"{row}.png" for row in range(10)]
    tested = [("t/1.png", 2, True), ("t/2.png", 1, False)]
    write_csv(columns(clean(audit, 0.5), audit, drawn, files, tested), tmp_path / "c.csv")
    rows = list(csv.DictReader((tmp_path / "c.csv").open(encoding="utf-8")))
    said = {
        row["path"]: (row["label"], row["split"], row["trusted"], row["true_label"], row["action"])
        for row in rows
    }
    assert len(said) == len(rows)
    assert said == {
        "1.png": ("ape", "train", "no", "ape", "kept"),
        "2.png": ("bee", "train", "no", "bee", "replaced"),
        "4.png": ("", "train", "no", "cow", "left out"),
        "7.png": ("ape", "train", "no", "", "replaced"),
        "9.png": ("", "train", "no", "", "left out"),
        "0.png": ("ape", "train", "yes", "ape", "trusted"),
        "3.png": ("bee", "train", "yes", "bee", "trusted"),
        "5.png": ("cow", "train", "yes", "cow", "trusted"),
        "t/1.png": ("cow", "test", "no", "cow", "tested on"),
        "t/2.png": ("bee", "test", "no", "", "tested on"),  # nobody checked it
    }
