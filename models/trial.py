"""Whether a network takes the data set's pictures and answers with its classes."""

import copy

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn


def refuse_misfit(
    net: nn.Module, pictures: Tensor, num_classes: int, device: str, *, recorded: bool = False
) -> None:
    """Try a network on two grey pictures; it stays as it is, and so do all random draws.

    Args:
        net: on the CPU.
        pictures: (…, 3, H, W), whose size the grey ones have.
        num_classes: C.
        device: kind of that where it will train. If that is not the CPU, a network that fails here
            is let through: it may be made for a GPU alone.
        recorded: whether its steps are recorded as a CUDA graph, whose passes cannot be told to
            draw the same.

    Raises:
        ValueError: if it cannot take them, does not return logits (2, C), or draws random numbers
            where it must not.
    """
    tried, (height, width) = copy.deepcopy(net).train(), pictures.shape[-2:]
    try:
        with torch.no_grad(), isolate_rng(include_cuda=False):
            before = torch.get_rng_state()
            found = tried(torch.zeros(2, 3, height, width))
            draws = not torch.equal(torch.get_rng_state(), before)
    except Exception as error:  # whatever a network trips over
        if device != "cpu":
            return
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(
            f"the network cannot be trained on pictures of {height}x{width} ({reason}): give "
            "another model, or other pictures (dataset.image_size, where there is one)."
        ) from error
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != (2, num_classes):
        raise ValueError(
            f"the network makes {shape} of 2 pictures, and logits of shape (2, {num_classes}) are "
            "needed: give another model, or mend model.net."
        )
    if draws and recorded:
        raise ValueError(
            "speed.cuda_graph=true is for networks that draw no random numbers, and this one does "
            "(dropout?): leave speed.cuda_graph out."
        )
