"""A network's passes under `torch.compile`, which fuses the operations between convolutions."""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_modules.passes import Params, Passes, refuse_inference_mode


class CompiledPasses(Passes):
    """Passes compiled at the first call with each shape. They cannot be differentiated twice."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        import torch._dynamo  # here, because this takes a second or more
        import torch._functorch.config
        import torch._inductor.config

        # Draw torch's own random numbers, so that all passes of a step draw the same.
        torch._inductor.config.fallback_random = True
        # A graph may be differentiated more than once: the training loss reuses the look-ahead's.
        torch._functorch.config.donated_buffer = False
        # Jobs of a multirun share compiled code where their shapes agree; the default limit of 8
        # variants would soon be reached.
        torch._dynamo.config.recompile_limit = 64
        # Our passes run inside DDP's forward, but must not be split along its gradient buckets.
        torch._dynamo.config.optimize_ddp = False
        # On a CPU it warns that CUDA is missing, which is no problem.
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)

        def logits(theta: Params, image: Tensor) -> Tensor:
            output: Tensor = functional_call(net, dict(theta), (image,))
            return output.to(image.dtype)

        def jvp(theta: Params, direction: Params, image: Tensor) -> Any:
            return torch.func.jvp(
                lambda theta: logits(theta, image), (dict(theta),), (dict(direction),)
            )

        # Not dynamic: a run has two or three shapes, and code specialised to them is faster.
        # One full graph or an error: a pass compiled in part, or not at all beyond the limit, would
        # be slow, and its rounding could change when the run is resumed.
        self._compiled_logits = torch.compile(logits, dynamic=False, fullgraph=True)
        self._compiled_jvp = torch.compile(jvp, dynamic=False, fullgraph=True)

    def logits(self, theta: Params | None, image: Tensor) -> Tensor:
        """Return the logits at θ, `(B, C)`; None: at the network's own parameters."""
        self.reseed(image.device)
        theta = dict(self.net.named_parameters()) if theta is None else theta
        return self._compiled_logits(theta, image)

    @torch.no_grad()
    def jvp(self, theta: Params, direction: Params, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits at θ and their derivative along a direction in θ, each `(B, C)`.

        Raises:
            RuntimeError: in inference mode, where derivatives vanish without an error.
        """
        refuse_inference_mode()
        self.reseed(image.device)
        theta = {name: value.detach() for name, value in theta.items()}
        logits_and_jvp: tuple[Tensor, Tensor] = self._compiled_jvp(theta, direction, image)
        return logits_and_jvp
