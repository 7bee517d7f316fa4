"""A network's passes by `torch.compile`, which fuses what lies between its convolutions."""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from lightning_modules.passes import Params, Passes, refuse_inference_mode


class CompiledPasses(Passes):
    """Passes that are compiled when they first meet a shape; their gradients have no graph."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        import torch._dynamo  # a second and more
        import torch._functorch.config
        import torch._inductor.config

        # Numbers that a network draws are torch's own: all passes of a step draw the same.
        torch._inductor.config.fallback_random = True
        # One graph may be gone through more than once: the look-ahead's losses are descended later.
        torch._functorch.config.donated_buffer = False
        # Jobs of a multirun share what is compiled where their shapes agree; 8 variants, if nobody
        # sets a limit, do not last long.
        torch._dynamo.config.recompile_limit = 64
        # Our passes are inside DDP's, but are no part of it to be cut along its buckets.
        torch._dynamo.config.optimize_ddp = False
        # On a CPU it misses a CUDA that nobody asked for.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

        def at(theta: Params, image: Tensor) -> Tensor:
            found: Tensor = functional_call(net, dict(theta), (image,))
            return found.to(image.dtype)

        def along(theta: Params, direction: Params, image: Tensor) -> Any:
            return jvp(lambda there: at(there, image), (dict(theta),), (dict(direction),))

        # Not dynamic: a run has two or three shapes, and code for just these is faster.
        # One graph or an error: what is compiled in part, or beyond the limit not at all, would
        # only be slow, and round otherwise than when it goes on elsewhere.
        self._at = torch.compile(at, dynamic=False, fullgraph=True)
        self._along = torch.compile(along, dynamic=False, fullgraph=True)

    def at(self, theta: Params | None, image: Tensor) -> Tensor:
        """Return the logits at θ, `(B, C)`; None: at the network's own parameters."""
        self.draw_anew(image.device)
        return self._at(dict(self.net.named_parameters()) if theta is None else theta, image)

    @torch.no_grad()
    def along(self, theta: Params, direction: Params, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits at θ and their derivative along a direction, each `(B, C)`.

        Raises:
            RuntimeError: in inference mode, where derivatives vanish without an error.
        """
        refuse_inference_mode()
        self.draw_anew(image.device)
        theta = {name: value.detach() for name, value in theta.items()}
        found: tuple[Tensor, Tensor] = self._along(theta, direction, image)
        return found
