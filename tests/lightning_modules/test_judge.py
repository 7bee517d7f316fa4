import pytest
import torch

from lightning_modules.judge import Judge


def test_results_by_hand() -> None:
    judge = Judge("val", num_classes=3)
    label = torch.tensor([0, 0, 0, 1])
    guess = torch.tensor([0, 0, 1, 1])
    logits = 10.0 * torch.nn.functional.one_hot(guess, 3)
    judge.update(logits[:3], label[:3])
    judge.update(logits[3:], label[3:])
    results = judge.results()
    assert results["val/acc"] == 3 / 4
    assert results["val/acc_balanced"] == pytest.approx((2 / 3 + 1) / 2)  # class 2 has no example
    expected = torch.nn.functional.cross_entropy(logits, label)
    assert results["val/loss"] == pytest.approx(float(expected))
    assert set(results) == {"val/acc", "val/acc_balanced", "val/loss"}
    judge.update(logits[2:3], label[2:3])
    assert judge.results()["val/acc"] == 0  # begun anew


def test_five_guesses_of_ten_classes() -> None:
    judge = Judge("test", num_classes=10)
    logits = torch.arange(10.0).repeat(4, 1)
    judge.update(logits, torch.tensor([9, 5, 4, 0]))
    results = judge.results()
    assert (results["test/acc"], results["test/top5"]) == (0.25, 0.5)
