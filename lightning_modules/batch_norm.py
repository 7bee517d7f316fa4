"""Keeps BatchNorm's running statistics to the weak view's forward pass."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def batch_statistics_only(net: nn.Module) -> Iterator[None]:
    """Let training-mode passes use batch statistics without updating the running statistics.

    A step of IEG passes four batches through the network (weak, strong, mixed, probe); as in the
    reference, only the weak one updates the running statistics that evaluation uses.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]
    tracking = [layer.track_running_stats for layer in layers]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer, tracked in zip(layers, tracking, strict=True):
            layer.track_running_stats = tracked
