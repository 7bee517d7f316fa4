import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.cleaned import (
    build_cleaned_list,
    clean_labels,
    cleaned_manifest,
    columns,
    summary,
)
from audit.record import Audit
from audit.table import write_csv
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.split import NONE_CHECKED, Checked
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
def manifest(audit: Audit) -> Manifest:
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
    cleaned = clean_labels(audit, confidence=0.5)
    # trusted at one half exactly; the last is doubted, but nothing else is suggested
    assert cleaned.label.tolist() == [0, 1, -1, 0, -1]
    assert cleaned.replaced.tolist() == [False, True, False, True, False]
    assert cleaned.left_out.tolist() == [False, False, True, False, True]
    assert clean_labels(audit, confidence=0.75).label.tolist() == [0, 1, -1, -1, -1]


def rule_results(
    audit: Audit, manifest: Manifest, checked: Checked = NONE_CHECKED, confidence: float = 0.5
) -> dict[str, Any]:
    cleaned = clean_labels(audit, confidence)
    return summary(cleaned, audit, build_cleaned_list(cleaned, audit, manifest, checked))


def test_what_it_is_worth_is_counted_where_the_truth_is_known(
    audit: Audit, manifest: Manifest
) -> None:
    facts = rule_results(audit, manifest)
    assert facts["cleaned/replaced"] == facts["cleaned/left_out"] == 2
    assert facts["cleaned/expected_precision"] == pytest.approx((0.8 + 0.7) / 2)
    assert rule_results(audit, manifest, confidence=1)["cleaned/expected_precision"] is None
    assert facts["cleaned/precision"] == 1  # of the one replaced whose true class is known
    assert facts["cleaned/noise_before"] == 3 / 4
    assert facts["cleaned/noise_after"] == 0  # of the two that are left and known
    unknown = audit._replace(clean=np.full(5, UNKNOWN))
    assert set(rule_results(unknown, manifest)) == {
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
    no_rows = np.empty(0, dtype=np.int64)
    manifest = Manifest({}, NAMES, two.index, two.given, two.clean, no_rows, no_rows)
    facts = rule_results(two, manifest)
    assert facts["cleaned/noise_after"] == 1
    assert "cleaned/precision" not in facts


def test_cleaned_draws_can_be_trained_on(audit: Audit, manifest: Manifest, tmp_path: Path) -> None:
    cleaned_draws = cleaned_manifest(
        build_cleaned_list(clean_labels(audit, 0.5), audit, manifest), manifest, 0.5
    )
    cleaned_draws.write(tmp_path / "labels_cleaned.npz")
    found = Manifest.load(tmp_path / "labels_cleaned.npz")
    # row 8 was never looked at and stays
    assert found.train_rows.tolist() == [1, 2, 7, 8]
    assert found.given.tolist() == [0, 1, 0, 1]
    assert found.clean.tolist() == [0, 1, UNKNOWN, 1]
    assert np.array_equal(found.probe_rows, manifest.probe_rows)
    assert found.settings["cleaned_from"] == manifest.hash
    assert found.hash != manifest.hash


def test_the_table_has_every_example_once(audit: Audit, manifest: Manifest, tmp_path: Path) -> None:
    files = [f"{row}.png" for row in range(10)]
    test_pictures = [("t/1.png", 2, True), ("t/2.png", 1, False)]
    cleaned_list = build_cleaned_list(clean_labels(audit, 0.5), audit, manifest)
    write_csv(columns(cleaned_list, audit, manifest, files, test_pictures), tmp_path / "c.csv")
    rows = list(csv.DictReader((tmp_path / "c.csv").open(encoding="utf-8")))
    said = {
        row["path"]: (row["label"], row["split"], row["trusted"], row["true_label"], row["action"])
        for row in rows
    }
    assert len(said) == len(rows)
    # the confidence is the suggestion's, whatever became of the label
    suggested = {row["path"]: (row["suggested_label"], row["confidence"]) for row in rows}
    assert suggested["1.png"] == ("bee", "0.9000")  # kept
    assert suggested["2.png"] == ("bee", "0.8000")  # replaced
    assert suggested["4.png"] == ("cow", "0.4000")  # left out
    assert suggested["8.png"] == suggested["0.png"] == suggested["t/1.png"] == ("", "")
    assert said == {
        "1.png": ("ape", "train", "no", "ape", "kept"),
        "2.png": ("bee", "train", "no", "bee", "replaced"),
        "4.png": ("", "train", "no", "cow", "left out"),
        "7.png": ("ape", "train", "no", "", "replaced"),
        "8.png": ("bee", "train", "no", "bee", "not seen"),
        "9.png": ("", "train", "no", "", "left out"),
        "0.png": ("ape", "train", "yes", "ape", "trusted"),
        "3.png": ("bee", "train", "yes", "bee", "trusted"),
        "5.png": ("cow", "train", "yes", "cow", "trusted"),
        "t/1.png": ("cow", "test", "no", "cow", "tested on"),
        "t/2.png": ("bee", "test", "no", "", "tested on"),  # nobody checked it
    }


def test_what_cannot_be_read_is_left_out(audit: Audit, manifest: Manifest, tmp_path: Path) -> None:
    unread = np.isin(manifest.train_rows, [1, 8])
    seen, checked = audit.subset(audit.index != 1), Checked(np.array([8]), np.array([0]))
    cleaned = clean_labels(seen, 0.5)
    cleaned_list = build_cleaned_list(cleaned, seen, manifest, checked, unread)
    write_csv(columns(cleaned_list, seen, manifest, None), tmp_path / "c.csv")
    rows = {row["index"]: row for row in csv.DictReader((tmp_path / "c.csv").open())}
    for row, truth in (("1", "ape"), ("8", "ape")):  # the latter as the user says
        assert [rows[row][name] for name in ("label", "trusted", "true_label", "action")] == [
            "", "no", truth, "not readable"
        ]  # fmt: skip
        assert rows[row]["confidence"] == rows[row]["suggested_label"] == ""
    assert cleaned_manifest(cleaned_list, manifest, 0.5).train_rows.tolist() == [2, 7]
    assert summary(cleaned, seen, cleaned_list)["cleaned/left_out"] == 2


def test_what_the_user_checked_is_not_judged_by_the_network(
    audit: Audit, manifest: Manifest, tmp_path: Path
) -> None:
    # replaced wrongly, left out, kept though wrong, not seen; in the probe, and left out of it
    checked = Checked(np.array([2, 4, 1, 8, 3, 6]), np.array([2, 2, 1, 0, 1, 2]))
    cleaned_list = build_cleaned_list(clean_labels(audit, 0.5), audit, manifest, checked)
    files = [f"{row}.png" for row in range(10)]
    write_csv(columns(cleaned_list, audit, manifest, files), tmp_path / "c.csv")
    rows = list(csv.DictReader((tmp_path / "c.csv").open(encoding="utf-8")))
    assert len(rows) == 10
    said = {row["path"]: tuple(row.values())[1:6] for row in rows if row["action"] == "trusted"}
    assert said == {
        "1.png": ("bee", "train", "yes", "bee", "ape"),
        "2.png": ("cow", "train", "yes", "cow", "ape"),
        "4.png": ("cow", "train", "yes", "cow", "bee"),
        "8.png": ("ape", "train", "yes", "ape", "bee"),
        "0.png": ("ape", "train", "yes", "ape", ""),
        "3.png": ("bee", "train", "yes", "bee", ""),
        "5.png": ("cow", "train", "yes", "cow", ""),
        "6.png": ("cow", "train", "yes", "cow", ""),
    }
    cleaned_draws = cleaned_manifest(cleaned_list, manifest, 0.5)
    assert cleaned_draws.train_rows.tolist() == [1, 2, 4, 7, 8]
    assert cleaned_draws.given.tolist() == [1, 2, 2, 0, 0]
    assert cleaned_draws.clean.tolist() == [1, 2, 2, UNKNOWN, 0]
    assert np.array_equal(cleaned_draws.probe_rows, manifest.probe_rows)
    facts = rule_results(audit, manifest, checked)
    assert (facts["cleaned/replaced"], facts["cleaned/left_out"]) == (1, 1)
    assert facts["cleaned/expected_precision"] == pytest.approx(0.7)
    # the rule did not know: what it is worth is measured as if nobody had checked
    measured = ("cleaned/noise_before", "cleaned/noise_after", "cleaned/precision")
    assert all(facts[name] == rule_results(audit, manifest)[name] for name in measured)
