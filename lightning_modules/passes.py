"""Forward passes through a network, at its own parameters or at given ones."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from lightning_modules.batch_norm_jvp import FusedBatchNormMode
from lightning_modules.shared_convolutions import SharedConvolutions

Params = Mapping[str, Tensor]


class Passes:
    """Eager passes, operation by operation.

    Logits have the images' dtype, so that losses are in float32 under mixed precision too.

    Args:
        net: maps images `(B, 3, H, W)` to logits `(B, C)`.

    Attributes:
        seed: for random draws inside the network, such as dropout's; None: not seeded. All passes
            of a step draw the same, so that the meta-step differentiates the loss that is trained.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.seed: int | None = None
        self._shared: dict[int, SharedConvolutions] = {}  # by id of the images

    @contextmanager
    def sharing(self, image: Tensor) -> Iterator[None]:
        """Let a pass of these images take the convolutions of a `jvp` before it, at the same θ."""
        self._shared[id(image)] = SharedConvolutions()
        try:
            yield
        finally:
            del self._shared[id(image)]

    def logits(self, theta: Params | None, image: Tensor) -> Tensor:
        """Return the logits at θ, `(B, C)`; None: at the network's own parameters."""
        self.reseed(image.device)
        with self._shared.get(id(image), nullcontext()):
            if theta is None:
                output: Tensor = self.net(image)
            else:
                output = functional_call(self.net, dict(theta), (image,))
        return output.to(image.dtype)

    @torch.no_grad()  # builds no graph; tangents propagate all the same
    def jvp(self, theta: Params, direction: Params, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits at θ and their derivative along a direction in θ, each `(B, C)`.

        A Jacobian-vector product, by one pass in forward mode.

        Raises:
            RuntimeError: in inference mode, where derivatives vanish without an error.
        """
        refuse_inference_mode()
        with forward_ad.dual_level(), FusedBatchNormMode():
            dual_theta = {
                name: forward_ad.make_dual(value.detach(), direction[name])
                for name, value in theta.items()
            }
            primal, tangent = forward_ad.unpack_dual(self.logits(dual_theta, image))
        assert tangent is not None
        return primal, tangent

    def reseed(self, device: torch.device) -> None:
        """Reseed, so that the network draws the same in every pass of a step."""
        if self.seed is None:
            return
        if device.type == "cpu":
            torch.default_generator.manual_seed(self.seed)  # torch.manual_seed takes 80 µs
        else:
            torch.manual_seed(self.seed)


def refuse_inference_mode() -> None:
    """Refuse inference mode, where derivatives are lost; Lightning evaluates in it."""
    if torch.is_inference_mode_enabled():
        raise RuntimeError("the meta-step's derivatives are lost: it cannot run in inference mode")
