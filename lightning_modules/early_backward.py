"""A part of a loss is differentiated at once, so that its graph is gone before the next is made."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def differentiated(loss: Tensor, theta: Sequence[Tensor]) -> Tensor:
    """Return the same scalar and, when it is differentiated by θ, the same gradient.

    The gradient is taken now, and the graph freed. Descending the sum with other losses adds them
    up in one backward pass as ever, so that DDP averages once.
    """
    gradient = torch.autograd.grad(loss, theta, materialize_grads=True)
    found: Tensor = _Known.apply(loss.detach(), gradient, *theta)
    return found


class _Known(torch.autograd.Function):
    """A number whose gradient is known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradient: tuple[Tensor, ...], *theta: Tensor) -> Tensor:
        ctx.gradient = gradient
        return value.clone()

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(along * slope for slope in ctx.gradient)
