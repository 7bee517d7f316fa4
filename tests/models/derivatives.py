"""Check that a network can be differentiated in all the ways a meta-step needs."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad as fwd
from torch.func import functional_call


def check_derivatives(net: nn.Module, images: Tensor, num_classes: int) -> None:
    """Assert forward mode == double backward, and both orders == finite differences.

    In float64 and training mode, with the BatchNorm statistics switched off as in a look-ahead.

    Args:
        net: its weights become float64.
        images: (B, 3, H, W) float64.
        num_classes: number of logits.
    """
    net = net.double().train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    labels = torch.arange(len(images)) % num_classes
    generator = torch.Generator().manual_seed(1)
    params = {name: p.detach() for name, p in net.named_parameters()}
    # On the scale of each parameter, so that no layer drowns the others.
    direction = {
        name: torch.randn(p.shape, generator=generator, dtype=p.dtype) * p.square().mean().sqrt()
        for name, p in params.items()
    }

    def losses(point: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(net, point, images), labels, reduction="none")

    def gradient(point: dict[str, Tensor], create_graph: bool = False) -> list[Tensor]:
        loss = losses(point).mean()
        return list(torch.autograd.grad(loss, list(point.values()), create_graph=create_graph))

    def shifted(step: float) -> dict[str, Tensor]:
        return {k: (p + step * direction[k]).requires_grad_() for k, p in params.items()}

    def along(vectors: list[Tensor]) -> Tensor:
        products = [(v * d).sum() for v, d in zip(vectors, direction.values(), strict=True)]
        return torch.stack(products).sum()

    with torch.no_grad(), fwd.dual_level():
        duals = {k: fwd.make_dual(p, direction[k]) for k, p in params.items()}
        forward_mode = fwd.unpack_dual(losses(duals)).tangent

    here = shifted(0.0)
    weights = torch.ones(len(images), dtype=torch.float64, requires_grad=True)
    weighted = (weights * losses(here)).sum()
    gradients = torch.autograd.grad(weighted, list(here.values()), create_graph=True)
    (double_backward,) = torch.autograd.grad(along(list(gradients)), weights)
    torch.testing.assert_close(forward_mode, double_backward, rtol=1e-9, atol=1e-9)

    product = torch.autograd.grad(along(gradient(here, create_graph=True)), list(here.values()))
    # Short, because one ReLU or maximum that flips within the step would spoil the difference.
    step = 1e-8
    with torch.no_grad():
        difference = (losses(shifted(step)) - losses(shifted(-step))) / (2 * step)
    torch.testing.assert_close(forward_mode, difference, rtol=1e-5, atol=1e-5)
    up, down = gradient(shifted(step)), gradient(shifted(-step))
    expected = [(u - d) / (2 * step) for u, d in zip(up, down, strict=True)]
    error = torch.stack([(p - e).norm() for p, e in zip(product, expected, strict=True)]).norm()
    size = torch.stack([e.norm() for e in expected]).norm()
    assert error < 1e-5 * size

    for name, value in net.named_buffers():
        assert torch.equal(value, buffers[name]), f"{name} moved"
