"""Losses against numbers worked out by hand or by another library."""

import math

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from sklearn.metrics import log_loss

from lightning_modules.losses import (
    consistency,
    cross_entropy,
    guess_labels,
    l2_penalty,
    sharpen,
    unit_rms,
)


def test_cross_entropy_by_hand() -> None:
    # softmax([0, ln 3]) = [1/4, 3/4]
    logits = torch.tensor([[0.0, math.log(3.0)]]).repeat(3, 1)
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    quarter, three_quarters = math.log(4), math.log(4 / 3)
    expected = [quarter, three_quarters, (quarter + three_quarters) / 2]
    assert cross_entropy(target, logits).tolist() == pytest.approx(expected)


def test_cross_entropy_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    logits, label = rng.normal(size=(50, 4)), rng.integers(4, size=50)
    ours = cross_entropy(torch.from_numpy(np.eye(4)[label]), torch.from_numpy(logits)).mean()
    theirs = log_loss(label, softmax(logits, axis=1), labels=range(4))
    assert ours.item() == pytest.approx(theirs, rel=1e-12)


def test_cross_entropy_survives_large_logits() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    loss = cross_entropy(torch.tensor([[0.0, 1.0]]), logits)
    loss.sum().backward()
    assert loss.item() == 2e4
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_unit_rms_takes_one_scalar_for_the_whole_tensor() -> None:
    logits = torch.tensor([[3.0, 0.0], [0.0, 4.0]])  # mean square 25/4
    torch.testing.assert_close(unit_rms(logits), logits / 2.5)
    assert unit_rms(torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2


def test_sharpen_by_hand() -> None:
    sharp = sharpen(torch.tensor([[0.2, 0.3, 0.5]]), temperature=0.5)
    assert sharp[0].tolist() == pytest.approx([4 / 38, 9 / 38, 25 / 38])


def test_guess_labels_average_both_views_then_sharpen() -> None:
    rng = np.random.default_rng(1)
    weak, strong = rng.normal(size=(2, 6, 3)) * 5
    mean = sum(softmax(z / np.sqrt((z**2).mean() + 1e-8), axis=1) for z in (weak, strong)) / 2
    expected = mean**2 / (mean**2).sum(axis=1, keepdims=True)
    ours = guess_labels(torch.from_numpy(weak), torch.from_numpy(strong), 0.5)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=1e-12)


def test_confidence_of_a_guess_is_capped_by_the_norm() -> None:
    """At most where one of 10 logits is 3 and the others -1/3: their root mean square is 1."""
    logits = torch.full((5, 10), -1 / 3)
    logits[:, 3] = 3.0
    for sureness in (1.0, 1000.0):
        probability = unit_rms(sureness * logits).softmax(dim=1)[:, 3]
        assert probability.tolist() == pytest.approx([0.757] * 5, abs=5e-4)
    others = torch.randn(200, 5, 10, generator=torch.Generator().manual_seed(0))
    alike = others[:, :1].expand(-1, 5, -1)
    assert max(unit_rms(rows).softmax(dim=1).max() for rows in alike) < 0.7571


def test_consistency_is_the_kl_divergence_and_teaches_the_strong_view_only() -> None:
    rng = np.random.default_rng(2)
    weak, strong = (torch.from_numpy(z).requires_grad_() for z in rng.normal(size=(2, 6, 3)))
    losses = consistency(weak, strong)
    p, q = (softmax(z.detach().numpy(), axis=1) for z in (weak, strong))
    np.testing.assert_allclose(losses.detach().numpy(), rel_entr(p, q).sum(axis=1), rtol=1e-10)
    losses.sum().backward()
    assert weak.grad is None
    np.testing.assert_allclose(strong.grad.numpy(), q - p, rtol=1e-9, atol=1e-12)


def test_l2_penalty_by_hand() -> None:
    weights = [torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])]
    assert l2_penalty(weights, 0.1).item() == pytest.approx(0.7)
