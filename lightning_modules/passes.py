"""How images pass through a network, at its own parameters or at others."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from lightning_modules.batch_norm_forward import FusedBatchNorm

Params = Mapping[str, Tensor]


class Passes:
    """Passes as torch runs them, operation by operation.

    Logits are of the images' type, so that losses are in float32 under mixed precision too.

    Args:
        net: images `(B, 3, H, W)` → logits `(B, C)`.

    Attributes:
        seed: of what the network draws itself, as dropout does; None: it draws as it comes. All
            passes of a step draw the same, so that what is differentiated is what is descended.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.seed: int | None = None

    def at(self, theta: Params | None, image: Tensor) -> Tensor:
        """Return the logits at θ, `(B, C)`; None: at the network's own parameters."""
        self.draw_anew(image.device)
        if theta is None:
            found: Tensor = self.net(image)
        else:
            found = functional_call(self.net, dict(theta), (image,))
        return found.to(image.dtype)

    @torch.no_grad()  # no graph is kept; tangents flow all the same
    def along(self, theta: Params, direction: Params, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits at θ and their derivative along a direction, each `(B, C)`.

        Raises:
            RuntimeError: in inference mode, where derivatives vanish without an error.
        """
        refuse_inference_mode()
        with forward_ad.dual_level(), FusedBatchNorm():
            dual = {
                name: forward_ad.make_dual(value.detach(), direction[name])
                for name, value in theta.items()
            }
            primal, tangent = forward_ad.unpack_dual(self.at(dual, image))
        assert tangent is not None
        return primal, tangent

    def draw_anew(self, device: torch.device) -> None:
        """Let the network on a device draw what it drew in the step's other passes."""
        if self.seed is None:
            return
        if device.type == "cpu":
            torch.default_generator.manual_seed(self.seed)  # the line below takes 80 µs
        else:
            torch.manual_seed(self.seed)


def refuse_inference_mode() -> None:
    """Refuse where derivatives vanish; Lightning evaluates there."""
    if torch.is_inference_mode_enabled():
        raise RuntimeError("the meta-step's derivatives are lost: it cannot run in inference mode")
