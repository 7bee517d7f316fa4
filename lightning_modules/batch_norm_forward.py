"""BatchNorm's forward-mode derivative by the kernel of its backward pass.

With x̂ = (x − mean) / σ the normalisation's Jacobian is symmetric, so that the derivative along a
tangent ẋ is what its backward pass makes of ẋ as a gradient:

    ẏ = γ/σ [ẋ − mean(ẋ) − x̂ mean(x̂ ẋ)] + γ̇ x̂ + β̇

torch spells this out in a dozen passes over x; here they are three.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class FusedBatchNorm(TorchFunctionMode):
    """While it is entered, BatchNorm by batch statistics is `_BatchNorm`, the rest as ever.

    For passes whose tangents are wanted and whose gradients are not.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Take `F.batch_norm`'s arguments; only what moves no running statistics is done otherwise."""
    if not training or running_mean is not None or weight is None:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    normalised: Tensor = _BatchNorm.apply(x, weight, bias, eps)[0]
    return normalised


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = torch.native_batch_norm(
            x, weight, bias, None, None, True, 0.0, eps
        )
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, _, ctx.eps = inputs
        _, mean, inverse = output  # of σ
        ctx.mark_non_differentiable(mean, inverse)
        ctx.save_for_forward(x, weight, mean, inverse)

    @staticmethod
    def jvp(ctx: Any, along: Tensor, weight_along: Tensor, bias_along: Tensor, _: None) -> Any:
        x, weight, mean, inverse = ctx.saved_tensors
        tangent, _, _ = torch.ops.aten.native_batch_norm_backward(
            along, x, weight, None, None, mean, inverse, True, ctx.eps, [True, False, False]
        )
        scale = weight_along * inverse
        shift = bias_along - scale * mean
        one_a_channel = (-1, *(1,) * (x.ndim - 2))
        tangent.addcmul_(x, scale.view(one_a_channel)).add_(shift.view(one_a_channel))
        return tangent, None, None
