"""Two passes of one batch at the same θ compute their convolutions once.

L2R passes the noisy batch in forward mode for the meta-step, then with a graph for the training
loss. The second pass takes its convolutions, most of a forward pass, from the first, and only adds
their derivatives: the same numbers, bit for bit.

The other order, in which IEG makes its passes, would keep the convolutions while two graphs and the
probe's are in memory.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from lightning_modules.replaced_function import ReplacedFunctionMode


class _KeptOutput(NamedTuple):
    value: Tensor
    version: int

    @classmethod
    def of(cls, output: Tensor) -> "_KeptOutput":
        value = forward_ad.unpack_dual(output).primal.detach()
        return cls(value, value._version)

    @property
    def is_overwritten(self) -> bool:
        """Whether something has written to it since, as an in-place ReLU does."""
        return self.value._version != self.version


class SharedConvolutions(ReplacedFunctionMode):
    """Context of a pass: the first pass in it, without a graph, keeps what the second one takes.

    A convolution is computed again if its output was overwritten, and under autocast, which rounds
    the two passes differently.
    """

    def __init__(self) -> None:
        super().__init__(F.conv2d)
        self._is_second_pass = False
        self._kept: deque[_KeptOutput] = deque()  # of each convolution, in the order of the calls

    def __exit__(self, *exception: Any) -> None:
        """End the pass."""
        super().__exit__(*exception)
        self._is_second_pass = True

    def replacement(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        """Return the convolution, kept by the first pass or computed."""
        arguments = (input, weight, bias, stride, padding, dilation, groups)
        if self._is_second_pass and self._kept:
            kept = self._kept.popleft()
            is_valid = not kept.is_overwritten and not _is_autocast_enabled(input.device.type)
            if is_valid and not isinstance(padding, str):
                known: Tensor = _KnownConvolution.apply(kept.value, *arguments)
                return known
        output = F.conv2d(*arguments)
        if not self._is_second_pass and not torch.is_grad_enabled():
            self._kept.append(_KeptOutput.of(output))
        return output


class _KnownConvolution(torch.autograd.Function):
    """A convolution whose output is known, with its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        output: Tensor,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.bias_shape = None if bias is None else bias.shape
        ctx.geometry = _pair(stride), _pair(padding), _pair(dilation), False, (0, 0), groups
        return output.detach()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        gradients = torch.ops.aten.convolution_backward(
            grad_output,
            *ctx.saved_tensors,
            ctx.bias_shape,
            *ctx.geometry,
            ctx.needs_input_grad[1:4],
        )
        return None, *gradients, None, None, None, None


def _is_autocast_enabled(device_type: str) -> bool:
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def _pair(value: int | Sequence[int]) -> Sequence[int]:
    return value if isinstance(value, Sequence) else (value, value)
