"""BatchNorm's forward-mode derivative, computed by the kernel of its backward pass.

Let y = γ x̂ + β with x̂ = (x − mean) / σ. Along the tangents ẋ, γ̇ and β̇ its derivative is

    ẏ = γ/σ [ẋ − mean(ẋ) − x̂ mean(x̂ ẋ)] + γ̇ x̂ + β̇.

The Jacobian of x̂ is symmetric, so the first term is what the backward pass returns for the output
gradient ẋ. torch's own rule takes a dozen passes over x; this one takes three.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.replaced_function import ReplacedFunctionMode


class FusedBatchNormMode(ReplacedFunctionMode):
    """Context in which BatchNorm by batch statistics runs as `_BatchNormFunction`.

    For passes that need tangents but no gradients: `_BatchNormFunction` has no backward pass.
    """

    def __init__(self) -> None:
        super().__init__(F.batch_norm)

    def replacement(self, *args: Any, **kwargs: Any) -> Any:
        """Return the normalised batch; see `F.batch_norm` for the arguments."""
        return _batch_norm(*args, **kwargs)


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
    """Replace `F.batch_norm` where it uses batch statistics and updates no running ones."""
    if not training or running_mean is not None or weight is None:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    normalised: Tensor = _BatchNormFunction.apply(x, weight, bias, eps)[0]
    return normalised


class _BatchNormFunction(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        result: tuple[Tensor, ...] = torch.native_batch_norm(
            x, weight, bias, None, None, True, 0.0, eps
        )
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, weight, _, ctx.eps = inputs
        _, mean, inverse_std = output
        ctx.mark_non_differentiable(mean, inverse_std)
        ctx.save_for_forward(x, weight, mean, inverse_std)

    @staticmethod
    def jvp(
        ctx: Any, x_tangent: Tensor, weight_tangent: Tensor, bias_tangent: Tensor, _: None
    ) -> Any:
        x, weight, mean, inverse_std = ctx.saved_tensors
        tangent, _, _ = torch.ops.aten.native_batch_norm_backward(
            x_tangent, x, weight, None, None, mean, inverse_std, True, ctx.eps, [True, False, False]
        )
        scale = weight_tangent * inverse_std
        shift = bias_tangent - scale * mean
        per_channel = (-1, *(1,) * (x.ndim - 2))
        tangent.addcmul_(x, scale.view(per_channel)).add_(shift.view(per_channel))
        return tangent, None, None
