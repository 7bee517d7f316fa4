"""Which forward passes move BatchNorm's running statistics: the weak view's, and no other."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def batch_statistics_only(net: nn.Module) -> Iterator[None]:
    """Let training-mode passes normalise by their own batch and leave the running statistics.

    IEG passes four batches through the network in a step (weak, strong, mixed, probe); in the
    reference only the weak one moves the averages that evaluation uses.
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
