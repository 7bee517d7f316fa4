"""The averaged network: an exponential moving average of the weights. It is what is evaluated.

It is part of the module rather than a callback that swaps weights in and out, so every evaluation
is of the same network, whatever the checkpoint file and the Trainer. (Lightning 2.6's
`EMAWeightAveraging` tests the raw weights when `trainer.test` loads a checkpoint after `fit`.)
"""

from copy import deepcopy

import torch
from torch import Tensor, nn


def averaging_decay(updates: int, max_decay: float) -> float:
    """Return the reference's min(max_decay, (1 + t) / (10 + t)) after t updates of the weights."""
    return min(max_decay, (1 + updates) / (10 + updates))


class AveragedNetwork(nn.Module):
    """A copy of a network with averaged parameters and copied buffers.

    BatchNorm's running statistics are averages already; as in the reference, they are not averaged
    again.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = deepcopy(net).requires_grad_(False)

    @torch.no_grad()
    def update(self, net: nn.Module, decay: float) -> None:
        """Set each parameter to decay · itself + (1 − decay) · the network's; copy the buffers."""
        averaged: list[Tensor] = list(self.net.parameters())
        current: list[Tensor] = list(net.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)
        self.copy_buffers(net)

    @torch.no_grad()
    def copy_buffers(self, net: nn.Module) -> None:
        """Copy the network's running statistics."""
        for own_buffer, buffer in zip(self.net.buffers(), net.buffers(), strict=True):
            own_buffer.copy_(buffer)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, `(B, C)`."""
        return self.net(image)
