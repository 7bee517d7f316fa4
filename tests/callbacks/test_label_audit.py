import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.utils._pytree import tree_leaves

from audit.final_predictions import FinalPredictions
from audit.record import Audit
from audit.trust import calibrated
from callbacks.label_audit import LabelAudit, last_occurrence, merge_tables
from datamodules.batch import UNKNOWN, Batch
from datamodules.images import ArrayImages
from datamodules.labelled_images import LabelledImages
from datamodules.manifest import Manifest
from datamodules.samplers import EndlessOrder
from lightning_modules.objective import Objective

EPOCH = 3
ALONE: Any = SimpleNamespace(global_step=1, datamodule=SimpleNamespace(steps_per_epoch=EPOCH))


def visit(
    audit: LabelAudit,
    index: list[int],
    label: list[int],
    p: list[float],
    weight: Any,
    trainer: Any = ALONE,
) -> None:
    """Show the audit two-class predictions with probability `p` for class 1."""
    logits = torch.tensor([[0.0, math.log(one / (1 - one))] for one in p])
    objective = Objective(torch.tensor(0.0), {}, logits, weight)
    rows = torch.tensor(index)
    batch = Batch(torch.empty(0), torch.tensor(label), torch.tensor(label), rows)
    outputs = {"objective": objective, "batch": batch}
    audit.on_train_batch_end(trainer, Any, outputs, batch, 0)


def data(rows: list[int], given: list[int], clean: list[int], grey: Sequence[int] = ()) -> Any:
    manifest = SimpleNamespace(
        train_rows=np.array(rows), given=np.array(given), clean=np.array(clean)
    )
    return SimpleNamespace(
        manifest=manifest, num_classes=2, unread=lambda some: np.isin(some, grey)
    )


def test_what_visits_say_by_hand() -> None:
    audit = LabelAudit(size=6, num_classes=2)
    visit(audit, [4, 1], [1, 0], [0.9, 0.75], torch.tensor([0.25, 0.5]))
    visit(audit, [4], [1], [0.4], torch.tensor([0.0]))
    found = audit.audit(data([1, 2, 4], [0, 0, 1], [0, 0, 0]))
    assert found.index.tolist() == [1, 4]  # row 2 was never visited
    assert found.visits.tolist() == [1, 2]
    # margins -0.5; 0.8 and -0.2
    assert found.trust.tolist() == pytest.approx([0.25, 0.65])
    assert found.weight.tolist() == pytest.approx([1.0, 0.25])
    assert found.weight_sd.tolist() == pytest.approx([0.0, 0.25], abs=1e-6)
    assert found.zero_share.tolist() == [0, 0.5]
    assert found.suggested.tolist() == [1, 0]
    # each suggested class was given the other label the one time it was seen: T is 3/4 there
    expected = [0.75 * 0.75 / (0.75 * 0.75 + 0.25 * 0.25), 0.6 * 0.75 / (0.6 * 0.75 + 0.4 * 0.25)]
    assert found.confidence.tolist() == pytest.approx(expected)
    assert found.wrong.tolist() == [False, True]
    assert found.suspicious.tolist() == [True, False]


def test_what_was_never_visited_changes_nothing_of_the_rest() -> None:
    rng = np.random.default_rng(0)
    given = rng.integers(2, size=500)
    seen = np.flatnonzero(rng.random(500) < 0.2)
    audit = LabelAudit(size=500, num_classes=2)
    right = np.where(rng.random(len(seen)) < 0.7, given[seen], 1 - given[seen])
    p = np.where(right == 1, 0.9, 0.1)
    visit(audit, seen.tolist(), given[seen].tolist(), p.tolist(), None)
    every = audit.audit(data(list(range(500)), given.tolist(), given.tolist()))
    alone = audit.audit(data(seen.tolist(), given[seen].tolist(), given[seen].tolist()))
    for one, other in zip(every, alone, strict=True):
        np.testing.assert_array_equal(one, other)
    assert every.confidence[every.suggested != every.given].mean() > 0.5


def test_nothing_is_said_of_a_picture_that_could_not_be_read() -> None:
    audit = LabelAudit(size=4, num_classes=2)
    visit(audit, [0, 1, 2], [0, 1, 1], [0.3, 0.6, 0.5], None)
    some = data([0, 1, 2, 3], [0, 1, 1, 0], [0, 1, 0, 0], grey=[1])
    assert audit.audit(some).index.tolist() == [0, 2]
    suggested, right = torch.tensor([0, 1, 1, 0]), torch.tensor([0.9, 0.8, 0.7, 0.6])
    audit.final = FinalPredictions(torch.arange(4), suggested, right, right, right)
    assert audit.audit(some).index.tolist() == [0, 2, 3]


def test_final_predictions_count_more_than_few_visits_and_brings_the_suggestion() -> None:
    audit = LabelAudit(size=6, num_classes=2)
    visit(audit, [4, 1], [1, 0], [0.9, 0.75], None)
    visit(audit, [4], [1], [0.5], None)
    rows, right = torch.tensor([4, 1, 2]), torch.tensor([0.3, 0.65, 0.95])
    suggested = torch.tensor([0, 0, 1]), torch.tensor([0.7, 0.65, 0.95])
    audit.final = FinalPredictions(rows, *suggested, torch.tensor([0.3, 0.4, 0.95]), right)
    found = audit.audit(data([1, 2, 4], [0, 1, 1], [0, 1, 0]))
    assert found.index.tolist() == [1, 2, 4]
    # two are doubted where part of T is believed; by the score itself, one
    plain = np.array([0.65, 0.95, 0.25 * (1 + 0.4) / 2 + 0.75 * 0.3])
    # what the final predictions gave is float32: 6e-8, and a few such
    np.testing.assert_allclose(found.trust, calibrated(plain, 2), rtol=1e-6)
    assert found.suspicious.tolist() == [True, False, True]
    assert found.suggested.tolist() == [0, 1, 0]
    assert found.confidence.tolist() == pytest.approx([0.65, 0.95, 0.7])
    assert found.visits.tolist() == [1, 0, 2]
    assert np.isnan(found.weight).all()


def test_after_an_epoch_probabilities_are_levelled() -> None:
    audit = LabelAudit(size=6, num_classes=2)
    first = SimpleNamespace(**{**vars(ALONE), "global_step": EPOCH})
    visit(audit, [0, 1, 2], [1, 1, 0], [0.9, 0.5, 0.6], None, trainer=first)
    assert audit._level.tolist() == pytest.approx([0.4, 0.7])
    visit(audit, [3], [1], [0.6], None)
    of_one, of_zero = 0.6 / 0.7, 0.4 / 0.4
    expected = (of_one - of_zero) / (of_one + of_zero)
    found = audit.audit(data([3], [1], [0]))
    assert found.trust.tolist() == pytest.approx([(1 + expected) / 2])
    assert found.suggested.tolist() == [0]  # though class 1 is the likelier one
    # the next epoch's level comes from unlevelled probabilities of its own
    second = SimpleNamespace(**{**vars(ALONE), "global_step": 2 * EPOCH})
    visit(audit, [4], [0], [0.8], None, trainer=second)
    assert audit._level.tolist() == pytest.approx([0.2, 0.6])


def test_an_example_twice_in_a_batch_counts_twice() -> None:
    audit = LabelAudit(size=2, num_classes=2)
    visit(audit, [0, 0, 0], [1, 1, 1], [0.2, 0.4, 0.6], None)
    found = audit.audit(data([0], [1], [1]))
    assert found.visits.tolist() == [3]
    assert found.trust.tolist() == pytest.approx([0.4])


def test_the_last_occurrence_by_hand() -> None:
    assert last_occurrence(torch.tensor([5, 2, 5, 0, 2, 5])).tolist() == [5, 4, 5, 3, 4, 5]
    assert last_occurrence(torch.arange(3)).tolist() == [0, 1, 2]


def test_of_an_example_twice_in_a_batch_the_last_visit_stays_whatever_is_written_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GPU writes in any order."""
    copy, index = torch.Tensor.index_copy_, torch.tensor([3, 1, 3, 0, 1, 3])

    def shuffled(table: torch.Tensor, dim: int, rows: torch.Tensor, values: torch.Tensor) -> Any:
        order = torch.randperm(len(rows), generator=generator)
        return copy(table, dim, rows[order], values[:, order])

    monkeypatch.setattr(torch.Tensor, "index_copy_", shuffled)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        audit = LabelAudit(size=4, num_classes=2)
        visit(audit, index.tolist(), [1] * 6, [0.1, 0.9, 0.2, 0.7, 0.6, 0.8], None)
        suggested, confidence = audit._table[-2:]
        assert suggested.tolist() == [1, 1, 0, 1]
        assert confidence.tolist() == pytest.approx([0.7, 0.6, 0, 0.8])


def test_state_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, first, second = (LabelAudit(size=3, num_classes=2) for _ in range(3))
    for audit in (whole, first):
        visit(audit, [0, 2], [0, 1], [0.3, 0.8], None)
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for audit in (whole, second):
        visit(audit, [2, 1], [1, 1], [0.1, 0.9], None)
    saved = LabelAudit.saved(whole.state_dict(), "last.ckpt")
    one, *others = (
        audit.audit(data([0, 1, 2], [0, 1, 1], [0, 1, 1])) for audit in (whole, second, saved)
    )
    for other in others:
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "state", [None, {}, {"tables": [torch.zeros(5, 4)]}, {"tables": [torch.zeros(7, 4)]}]
)
def test_an_audit_of_another_kind_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match=r"last\.ckpt holds no audit of the kind"):
        LabelAudit.saved(state, "last.ckpt")


def halves(seed: int) -> list[tuple[list[int], list[int], list[float], torch.Tensor]]:
    """Return what two ranks see in a step: distinct examples."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(12)
    return [
        (
            part.tolist(),
            (part % 2).tolist(),
            rng.uniform(0.1, 0.9, 6).tolist(),
            torch.from_numpy(rng.random(6, dtype=np.float32)),
        )
        for part in (rows[:6], rows[6:])
    ]


def test_ranks_together_know_what_one_process_would() -> None:
    alone, ranks = (
        LabelAudit(size=12, num_classes=2),
        [LabelAudit(size=12, num_classes=2) for _ in range(2)],
    )
    for step in range(5):
        for one, seen in zip(ranks, halves(step), strict=True):
            visit(alone, *seen)
            visit(one, *seen)
    together = LabelAudit(size=12, num_classes=2)
    together._table = merge_tables([one._table for one in ranks])
    everyone = data(list(range(12)), [row % 2 for row in range(12)], [0] * 12)
    expected, found = alone.audit(everyone), together.audit(everyone)
    for name in ("trust", "weight", "visits", "zero_share"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-5)
    # the root of a difference of float32 sums
    assert found.weight_sd == pytest.approx(expected.weight_sd, abs=1e-3)


def test_trust_so_far_is_logged_at_evaluations() -> None:
    logged: dict[str, float] = {}
    logger = SimpleNamespace(log_metrics=lambda metrics, step: logged.update(metrics, step=step))
    audit = LabelAudit(size=4, num_classes=2)
    visit(audit, [0, 1, 2], [1, 1, 1], [0.9, 0.2, 0.3], None)
    trainer: Any = SimpleNamespace(
        sanity_checking=False,
        state=SimpleNamespace(fn="fit"),
        datamodule=data([0, 1, 2, 3], [1, 1, 1, 1], [1, 0, UNKNOWN, 0]),
        loggers=[logger],
        global_step=7,
    )
    audit.on_validation_end(trainer, Any)
    assert logged == {"noise/auroc": 1.0, "noise/ap": 1.0, "step": 7}
    visit(audit, [0, 0], [1, 1], [0.01, 0.01], None)
    audit.on_validation_end(trainer, Any)
    score = [-(0.9 + 0.01 + 0.01) / 3, -0.2]
    assert logged["noise/auroc"] == roc_auc_score([0, 1], score)


def test_suspicious_and_wrong_are_told_apart() -> None:
    fields = {name: np.zeros(2) for name in Audit._fields}
    fields |= {"clean": np.array([UNKNOWN, 1]), "suggested": np.array([3, 4])}
    made = Audit(**{**fields, "trust": np.array([0.49, 0.5])})
    assert made.suspicious.tolist() == [True, False]
    assert made.estimated_class.tolist() == [3, 0]
    assert made.known.tolist() == [False, True]
    assert made.wrong.tolist() == [False, True]


def test_labels_cost_less_than_200_bytes_an_example() -> None:
    """What a run holds of each example but its picture: the audit, the draws, the order."""
    size, batch_size = 10_000, 64
    rows = np.arange(size)
    drawn = Manifest({}, ("a", "b"), rows, rows % 2, rows % 2, rows[:0], rows[:0])
    examples = LabelledImages(ArrayImages(torch.empty(0)), drawn.given, drawn.clean, rows)
    order = EndlessOrder(size, batch_size, seed=0, purpose="train order", shuffle=True)
    order.rows(size // batch_size)  # of two epochs
    audit = LabelAudit(size, num_classes=2)
    visit(audit, [0], [0], [0.5], torch.tensor([1.0]))
    held = [part for one in (audit, drawn, examples, order) for part in tree_leaves(vars(one))]
    sizes: dict[int, int] = {}  # by address: what is shared counts once
    for part in held:
        if isinstance(part, torch.Tensor | np.ndarray):
            address = np.asarray(part).ctypes.data
            sizes[address] = max(part.nbytes, sizes.get(address, 0))
    each = sum(sizes.values()) / size
    assert each == pytest.approx(7 * 4 + 3 * 8 + 2 * 8, abs=0.1)
    assert each < 200
