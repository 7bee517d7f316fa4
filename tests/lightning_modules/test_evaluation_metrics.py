import numpy as np
import pytest
import torch

from lightning_modules.evaluation_metrics import EvaluationMetrics


def test_results_by_hand() -> None:
    metrics = EvaluationMetrics("val", num_classes=3)
    label = torch.tensor([0, 0, 0, 1])
    guess = torch.tensor([0, 0, 1, 1])
    logits = 10.0 * torch.nn.functional.one_hot(guess, 3)
    metrics.update(logits[:3], label[:3])
    metrics.update(logits[3:], label[3:])
    results = metrics.compute_and_reset()
    assert results["val/acc"] == 3 / 4
    assert results["val/acc_balanced"] == pytest.approx((2 / 3 + 1) / 2)  # class 2 has no example
    expected = torch.nn.functional.cross_entropy(logits, label)
    assert results["val/loss"] == pytest.approx(float(expected))
    confidence = float(torch.softmax(torch.tensor([10.0, 0, 0]), 0)[0])
    assert results["val/ece"] == pytest.approx(confidence - 3 / 4)
    assert set(results) == {"val/acc", "val/acc_balanced", "val/loss", "val/ece"}
    metrics.update(logits[2:3], label[2:3])
    assert metrics.compute_and_reset()["val/acc"] == 0  # begun anew


def test_five_guesses_of_ten_classes() -> None:
    metrics = EvaluationMetrics("test", num_classes=10)
    logits = torch.arange(10.0).repeat(4, 1)
    metrics.update(logits, torch.tensor([9, 5, 4, 0]))
    results = metrics.compute_and_reset()
    assert (results["test/acc"], results["test/top5"]) == (0.25, 0.5)


def test_calibration_error_by_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(500, 4, generator=generator)
    label = torch.randint(4, (500,), generator=generator)
    metrics = EvaluationMetrics("test", num_classes=4)
    for part in range(0, 500, 100):
        metrics.update(logits[part : part + 100], label[part : part + 100])
    probability = logits.double().softmax(dim=1).numpy()
    confidence, right = probability.max(1), probability.argmax(1) == label.numpy()
    bins = np.floor(confidence * 15)
    gaps = [np.abs((confidence - right)[bins == one].sum()) for one in range(15)]
    ece = float(metrics.compute_and_reset()["test/ece"])
    assert ece == pytest.approx(sum(gaps) / 500, abs=1e-6)
