import pytest
import torch
from torch import nn

from lightning_modules.early_backward import with_precomputed_gradient


def test_gradients_add_up_and_the_early_graph_is_gone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    theta = list(net.parameters())
    one, two = torch.randn(2, 5, 3, dtype=torch.float64)

    whole = net(one).square().sum() + 3 * theta[0].sum() + net(two).exp().sum()
    expected = torch.autograd.grad(7 * whole, theta)

    part = net(one).square().sum()
    early = with_precomputed_gradient(part, theta)
    early = early + with_precomputed_gradient(3 * theta[0].sum(), theta)
    with pytest.raises(RuntimeError, match="second time"):
        part.backward()
    total = early + net(two).exp().sum()
    torch.testing.assert_close(total, whole, rtol=1e-12, atol=0)
    (7 * total).backward()
    for value, slope in zip(theta, expected, strict=True):
        torch.testing.assert_close(value.grad, slope, rtol=1e-12, atol=1e-14)
