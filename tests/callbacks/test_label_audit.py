import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from callbacks.label_audit import Audit, LabelAudit, write_labels
from datamodules.batch import KNOWN_WRONG, UNKNOWN, Batch
from lightning_modules.objective import Objective

ALONE: Any = SimpleNamespace(world_size=1)


def visit(
    audit: LabelAudit, index: list[int], label: list[int], p: list[float], weight: Any
) -> None:
    """Show the audit two-class predictions with probability `p` for class 1."""
    logits = torch.tensor([[0.0, math.log(one / (1 - one))] for one in p])
    objective = Objective(torch.tensor(0.0), {}, logits, weight)
    rows = torch.tensor(index)
    batch = Batch(torch.empty(0), torch.tensor(label), torch.tensor(label), rows)
    outputs = {"objective": objective, "batch": batch}
    audit.on_train_batch_end(ALONE, Any, outputs, batch, 0)


def data(rows: list[int], given: list[int], clean: list[int]) -> Any:
    manifest = SimpleNamespace(
        train_rows=np.array(rows), given=np.array(given), clean=np.array(clean)
    )
    return SimpleNamespace(manifest=manifest)


def test_trust_is_the_mean_probability_of_the_given_label() -> None:
    audit = LabelAudit(size=6)
    visit(audit, [4, 1], [1, 0], [0.9, 0.75], torch.tensor([0.25, 0.5]))
    visit(audit, [4], [1], [0.5], torch.tensor([1.0]))
    found = audit.audit(data([1, 2, 4], [0, 0, 1], [0, 0, 0]))
    assert found.index.tolist() == [1, 4]  # row 2 was never visited
    assert found.visits.tolist() == [1, 2]
    assert found.trust.tolist() == pytest.approx([0.25, 0.7])
    assert found.weight.tolist() == pytest.approx([1.0, (0.5 + 1.0) / 2])
    assert found.suggested.tolist()[0] == 1
    assert found.confidence.tolist() == pytest.approx([0.75, 0.5])
    assert found.wrong.tolist() == [False, True]


def test_an_example_twice_in_a_batch_counts_twice() -> None:
    audit = LabelAudit(size=2)
    visit(audit, [0, 0, 0], [1, 1, 1], [0.2, 0.4, 0.6], None)
    found = audit.audit(data([0], [1], [1]))
    assert found.visits.tolist() == [3]
    assert found.trust.tolist() == pytest.approx([0.4])
    assert np.isnan(found.weight).all()


def test_state_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, first, second = (LabelAudit(size=3) for _ in range(3))
    for audit in (whole, first):
        visit(audit, [0, 2], [0, 1], [0.3, 0.8], None)
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for audit in (whole, second):
        visit(audit, [2, 1], [1, 1], [0.1, 0.9], None)
    one, other = (audit.audit(data([0, 1, 2], [0, 1, 1], [0, 1, 1])) for audit in (whole, second))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


def some_audit(count: int) -> Audit:
    rng = np.random.default_rng(0)
    given, clean = rng.integers(3, size=(2, count))
    nothing = np.full(count, np.nan)
    return Audit(
        index=np.arange(count) * 2,
        given=given,
        clean=np.where(rng.random(count) < 0.2, -1, clean),
        suggested=clean,
        confidence=rng.random(count),
        trust=rng.random(count).round(2),
        weight=nothing,
        visits=np.ones(count, dtype=np.int64),
    )


def test_auroc_equals_scikit_learn_where_truth_is_known() -> None:
    audit = some_audit(300)
    known = audit.clean >= 0
    wrong = audit.given[known] != audit.clean[known]
    expected = roc_auc_score(wrong, -audit.trust[known])
    assert audit.auroc(audit.trust) == pytest.approx(expected, abs=1e-6)


def test_a_known_error_of_unknown_class_is_wrong_and_has_no_true_label(tmp_path: Path) -> None:
    audit = some_audit(4)._replace(
        given=np.array([0, 1, 2, 0]),
        clean=np.array([KNOWN_WRONG, 1, UNKNOWN, 2]),
        trust=np.array([0.95, 0.9, 0.1, 0.3]),
    )
    assert audit.known.tolist() == [True, True, False, True]
    assert audit.wrong.tolist() == [True, False, False, True]
    assert audit.auroc(audit.trust) == 0.5
    write_labels(audit, ("a", "b", "c"), tmp_path / "labels.csv")
    rows = list(csv.DictReader((tmp_path / "labels.csv").open(encoding="utf-8")))
    assert [row["true_label"] for row in rows] == ["", "c", "b", ""]


def test_labels_are_written_most_suspicious_first(tmp_path: Path) -> None:
    audit = some_audit(50)
    write_labels(audit, ("cat", "dog", "été"), tmp_path / "labels.csv")
    rows = list(csv.DictReader((tmp_path / "labels.csv").open(encoding="utf-8")))
    trust = [float(row["trust"]) for row in rows]
    assert trust == sorted(audit.trust.tolist())
    by_index = {int(row["index"]): row for row in rows}
    for place, index in enumerate(audit.index):
        row = by_index[int(index)]
        assert row["given_label"] == ("cat", "dog", "été")[audit.given[place]]
        assert (row["true_label"] == "") == (audit.clean[place] < 0)
        assert row["weight"] == ""
