import numpy as np
import pytest
import torch
from scipy import stats

from datamodules.batch import Views
from lightning_modules.mixup import (
    MixupDraws,
    draw_mixup,
    folded_beta_share,
    mix,
    mixup_losses,
    released_share,
)


def views(count: int, offset: float, strong: bool) -> Views:
    image = torch.arange(count, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 2, 2)
    return Views(image + offset, image + offset + 10 if strong else None, torch.arange(count) % 2)


def test_mix_by_hand() -> None:
    train, probe = views(2, offset=10.0, strong=True), views(3, offset=100.0, strong=False)
    guess = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    draws = MixupDraws(
        probe_row=torch.tensor([2, 2]),
        uniform=torch.tensor([0.0, 1.0, 0.5, 0.0, 0.0, 0.0]),
        partner=torch.tensor([5, 4, 3, 2, 1, 0]),
    )
    mixed = mix(train, guess, probe, draws)
    # rows before mixing: probe 102, 102; weak 10, 11; strong 20, 21
    assert mixed.image[:, 0, 0, 0].tolist() == pytest.approx(
        [102.0, (102 + 20) / 2, 0.875 * 10 + 0.125 * 11, 11.0, 20.0, 21.0]
    )
    expected = [
        [1.0, 0.0],
        [(1 + 0.9) / 2, (0 + 0.1) / 2],
        [0.875 * 0.9 + 0.125 * 0.2, 0.875 * 0.1 + 0.125 * 0.8],
        *[[0.2, 0.8], [0.9, 0.1], [0.2, 0.8]],
    ]
    np.testing.assert_allclose(mixed.label.numpy(), expected, rtol=1e-6)


def test_share_is_the_larger_half_and_its_mean_is_five_sixths() -> None:
    share = released_share(torch.linspace(0, 1, 100_001, dtype=torch.float64))
    assert share.min().item() == 0.5
    assert share.max().item() == 1.0
    assert share.mean().item() == pytest.approx(5 / 6, abs=1e-5)


def test_the_papers_share_is_a_folded_beta() -> None:
    uniform = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    share = folded_beta_share(uniform).numpy()
    beta = stats.beta(0.5, 0.5)
    assert stats.kstest(share, lambda x: beta.cdf(x) - beta.cdf(1 - x)).pvalue > 1e-3
    assert (
        stats.kstest(released_share(uniform), lambda x: beta.cdf(x) - beta.cdf(1 - x)).pvalue < 1e-6
    )


def test_draws_are_a_function_of_the_generator_and_fair() -> None:
    one, two = (draw_mixup(torch.Generator().manual_seed(7), 4000, 5) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(one.partner.sort().values, torch.arange(12_000))
    assert stats.chisquare(np.bincount(one.probe_row.numpy(), minlength=5)).pvalue > 1e-3
    assert stats.kstest(one.uniform.numpy(), "uniform").pvalue > 1e-3


def test_each_third_of_the_logits_is_normalised_by_itself() -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(6, 3).double(), torch.rand(6, 3).double()
    scaled = logits * torch.tensor([2.0, 2.0, 5.0, 5.0, 0.1, 0.1]).double()[:, None]
    for ours, theirs in zip(mixup_losses(scaled, label), mixup_losses(logits, label), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_labels_are_constants() -> None:
    label = torch.rand(6, 3, requires_grad=True)
    logits = torch.randn(6, 3, requires_grad=True)
    sum(mixup_losses(logits, label)).backward()
    assert label.grad is None
    assert logits.grad is not None
