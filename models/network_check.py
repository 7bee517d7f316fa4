"""Check that a network accepts the data set's images and returns logits of its classes."""

import copy

import torch
from pytorch_lightning.utilities.seed import isolate_rng
from torch import Tensor, nn


def check_network(
    net: nn.Module, images: Tensor, num_classes: int, device_type: str, *, recorded: bool = False
) -> None:
    """Try a network on two grey images, without changing it or any random state.

    Args:
        net: on the CPU.
        images: (…, 3, H, W), whose size the grey images have.
        num_classes: C.
        device_type: of the device it will train on. Unless that is `cpu`, a network that raises an
            error here is let through: it may need a GPU.
        recorded: whether its steps are recorded as a CUDA graph, whose passes cannot be made to
            draw the same random numbers.

    Raises:
        ValueError: if it fails, does not return logits (2, C), or draws random numbers although
            `recorded`.
    """
    copied_net, (height, width) = copy.deepcopy(net).train(), images.shape[-2:]
    try:
        with torch.no_grad(), isolate_rng(include_cuda=False):
            rng_state_before = torch.get_rng_state()
            output = copied_net(torch.zeros(2, 3, height, width))
            draws_random_numbers = not torch.equal(torch.get_rng_state(), rng_state_before)
    except Exception as error:  # a network may raise anything
        if device_type != "cpu":
            return
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(
            f"the network cannot be trained on pictures of {height}x{width} ({reason}): give "
            "another model, or other pictures (dataset.image_size, where there is one)."
        ) from error
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if shape != (2, num_classes):
        raise ValueError(
            f"the network makes {shape} of 2 pictures, and logits of shape (2, {num_classes}) are "
            "needed: give another model, or mend model.net."
        )
    if draws_random_numbers and recorded:
        raise ValueError(
            "speed.cuda_graph=true is for networks that draw no random numbers, and this one does "
            "(dropout?): leave speed.cuda_graph out."
        )
