"""A network's passes by `torch.compile`.

It fuses what lies between convolutions, and on a CPU gives these the layout they like best. What it
cannot do is left to `functional_call`: passes that carry tangents (its derivative of BatchNorm is a
hundred times less exact in float32 than `batch_norm_forward`'s), and those that are differentiated
twice (AOTAutograd refuses).
"""

import logging
from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.func import functional_call

Pass = Callable[[Mapping[str, Tensor], Tensor], Tensor]


def compiled(net: nn.Module) -> Pass:
    """Return (θ, images) → logits, compiled when it first meets a shape."""
    import torch._dynamo  # a second and more
    import torch._functorch.config

    # One graph may be differentiated more than once: the look-ahead's losses are descended later.
    torch._functorch.config.donated_buffer = False
    # Jobs of a multirun share what is compiled where their shapes agree. Beyond the limit, which is
    # 8, they would go on uncompiled.
    torch._dynamo.config.recompile_limit = 64
    # On a CPU it misses a CUDA that nobody asked for.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

    def at(theta: Mapping[str, Tensor], image: Tensor) -> Tensor:
        logits: Tensor = functional_call(net, dict(theta), (image,))
        return logits

    # Not dynamic: a run has two or three shapes, and code for just these is faster.
    fused: Pass = torch.compile(at, dynamic=False)
    return fused
