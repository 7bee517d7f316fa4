from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from audit import final_predictions
from audit.final_predictions import FinalPredictions, predict_labels
from audit.tested import audit_tested, columns
from datamodules.batch import UNKNOWN, Batch

PATHS = [f"{row}.png" for row in range(8)]


class Examples(list[Batch]):
    """Batches whose images are their own logits, and what they consist of."""

    def __init__(self, logits: Any, label: Any, rows: Any) -> None:
        self.label, self.index = torch.tensor(label), torch.tensor(rows)
        self.clean_label = torch.full_like(self.label, UNKNOWN)
        image = torch.tensor(logits, dtype=torch.float32)
        super().__init__([Batch(image, self.label, self.clean_label, self.index)])

    def __len__(self) -> int:
        return len(self.index)


def data(tested: Examples, **more: Any) -> Any:
    return SimpleNamespace(
        unchecked_test_set=lambda: tested,
        unread_tests=lambda rows: np.isin(rows, [5]),
        **more,
    )


def test_a_label_that_no_visit_saw_is_judged_by_the_end_alone() -> None:
    tested = Examples(np.zeros((4, 3)), [0, 1, 2, 0], [1, 4, 5, 7])
    final = FinalPredictions(
        index=torch.tensor([7, 5, 4, 1]),  # as ranks may bring them
        suggested=torch.tensor([2, 2, 1, 1]),
        confidence=torch.tensor([0.5, 0.7, 0.75, 0.875]),
        p_right=torch.tensor([0.25, 0.9, 0.75, 0.625]),
        p_right_full_transition=torch.tensor([0.125, 0.0, 0.75, 0.25]),
    )
    found = audit_tested(final, data(tested))
    assert found.index.tolist() == [1, 4, 7]  # the picture in row 5 could not be read
    assert found.given.tolist() == [0, 1, 0]
    assert found.suggested.tolist() == [1, 1, 2]
    assert found.confidence.tolist() == [0.875, 0.75, 0.5]
    # in the order of all of T, and as many are suspicious as by the likeliest share of it
    assert found.order.tolist() == [2, 0, 1]
    assert found.suspicious.tolist() == [False, False, True]
    # the odds 1/3, 3 and 1/7, over those of the threshold, (1/8 + 1/4) / 2: 3/13
    expected = [odds * 13 / 3 / (1 + odds * 13 / 3) for odds in (1 / 3, 3, 1 / 7)]
    assert found.trust.tolist() == pytest.approx(expected)
    assert (found.visits == 0).all()
    assert not found.known.any()
    listed = columns(found, ("a", "b", "c"), PATHS)
    assert list(listed) == [
        "rank", "path", "given_label", "suggested_label", "confidence", "trust",
    ]  # fmt: skip
    assert list(listed["path"]) == ["7.png", "1.png", "4.png"]
    assert list(listed["suggested_label"]) == ["c", "b", "b"]


def test_a_run_that_saw_only_a_part_judges_no_test_label() -> None:
    found = audit_tested(None, data(Examples(np.zeros((2, 3)), [0, 1], [1, 4])))
    assert [len(column) for column in found] == [0] * len(found)
    assert len(columns(found, ("a", "b", "c"), PATHS)["rank"]) == 0


def test_noisy_labels_are_judged_the_same_with_and_without_test_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And test labels by themselves, by the same network, levels and transition matrix."""
    monkeypatch.setattr(final_predictions, "evaluator", lambda *_: lambda batch: batch.image)
    rng = np.random.default_rng(0)
    noisy = Examples(rng.normal(size=(50, 3)), rng.integers(3, size=50), range(50))
    tested = Examples(3 * rng.normal(size=(20, 3)), rng.integers(3, size=20), range(20))
    nobody = Examples(np.zeros((0, 3)), [], [])
    trainer: Any = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cpu")), is_global_zero=False
    )
    transition = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])

    def judged(noisy: Examples, tested: Examples) -> final_predictions.FinalPass:
        more = {"num_train": len(noisy), "num_probe": 0, "train_set": noisy}
        all_data = data(tested, evaluation_loader=lambda some, shared=True: some, **more)
        level = torch.tensor([0.5, 1.0, 2.0])
        return predict_labels(SimpleNamespace(), all_data, trainer, level, transition)

    both, noisy_alone, swapped = (
        judged(noisy, tested),
        judged(noisy, nobody),
        judged(tested, nobody),
    )
    assert noisy_alone.tested is None
    assert both.tested is not None
    for one, other in ((both.noisy, noisy_alone.noisy), (both.tested, swapped.noisy)):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
