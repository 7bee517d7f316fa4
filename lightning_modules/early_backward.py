"""Differentiates a part of the loss early, to free its graph before the next one is built."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def with_precomputed_gradient(loss: Tensor, theta: Sequence[Tensor]) -> Tensor:
    """Return a scalar with the value of `loss` and its gradient by θ, but without its graph.

    The gradient is computed now and the graph freed. The result can be added to other losses as
    usual: one backward pass adds up all gradients, and DDP averages them once.
    """
    gradient = torch.autograd.grad(loss, theta, materialize_grads=True)
    scalar: Tensor = _PrecomputedGradient.apply(loss.detach(), gradient, *theta)
    return scalar


class _PrecomputedGradient(torch.autograd.Function):
    """A scalar whose gradient is already known."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradient: tuple[Tensor, ...], *theta: Tensor) -> Tensor:
        ctx.gradient = gradient
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(grad_output * part for part in ctx.gradient)
