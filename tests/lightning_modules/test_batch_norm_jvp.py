import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from lightning_modules.batch_norm_jvp import FusedBatchNormMode, _BatchNormFunction


def push_forward(inputs: list[Tensor], tangents: list[Tensor]) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), forward_ad.dual_level():
        x, weight, bias = map(forward_ad.make_dual, inputs, tangents)
        result = F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-3)
        primal, tangent = forward_ad.unpack_dual(result)
    return primal, tangent


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4, 5)], ids=["dense", "images"])
def test_equals_torchs_own_derivative(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    make = lambda: [torch.randn(size, dtype=torch.float64) for size in (shape, (3,), (3,))]  # noqa: E731
    inputs, tangents = make(), make()
    expected = push_forward(inputs, tangents)
    calls = []
    apply = _BatchNormFunction.apply
    monkeypatch.setattr(_BatchNormFunction, "apply", lambda *args: calls.append(1) or apply(*args))
    with FusedBatchNormMode():
        found = push_forward(inputs, tangents)
    assert calls
    for ours, torchs in zip(found, expected, strict=True):
        # numbers of size 1 to 10, in float64: some hundred roundings
        torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-13)


def test_running_statistics_are_left_to_torch() -> None:
    x, mean, var = torch.randn(8, 3), torch.zeros(3), torch.ones(3)
    with FusedBatchNormMode():
        F.batch_norm(x, mean, var, torch.ones(3), torch.zeros(3), training=True, momentum=1.0)
        judged = F.batch_norm(x, mean, var, torch.ones(3), torch.zeros(3))
    torch.testing.assert_close(mean, x.mean(0))
    torch.testing.assert_close(judged, (x - x.mean(0)) / (x.var(0) + 1e-5).sqrt())
