"""Apply to every example of a batch the operations drawn for it (reference 1.7, 1.8).

The draws lie on the CPU, so the examples are grouped by operation there, each operation runs once
on its group, and nothing waits for the device.
"""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

from datamodules import image_geometry, image_ops
from datamodules.augment_draws import PolicyDraws
from datamodules.policies import OPERATIONS, SIGNED_OPERATIONS, magnitude

Apply = Callable[[Tensor, Tensor], Tensor]
Arguments = tuple[float, ...]


def _without_arguments(apply: Callable[[Tensor], Tensor]) -> Apply:
    return lambda image, _: apply(image)


_APPLY: dict[str, Apply] = {
    "Identity": _without_arguments(lambda image: image),
    **dict.fromkeys(SIGNED_OPERATIONS, image_geometry.affine),
    "Cutout": image_geometry.cutout,
    "AutoContrast": _without_arguments(image_ops.auto_contrast),
    "Equalize": _without_arguments(image_ops.equalise),
    # Everything is inverted from the threshold 0 on.
    "Invert": image_ops.solarise,
    "Solarize": image_ops.solarise,
    "Posterize": image_ops.posterise,
    "Colour": image_ops.colour,
    "Contrast": image_ops.contrast,
    "Brightness": image_ops.brightness,
    "Sharpness": image_ops.sharpness,
}


def _arguments(
    name: str, level: int, negative: bool, row: int, column: int, height: int, width: int
) -> Arguments:
    match name:
        case "Cutout":
            return row, column, magnitude(name, level, height), magnitude(name, level, width)
        case "Rotate" | "ShearX" | "ShearY" | "TranslateX" | "TranslateY":
            amount = magnitude(name, level, width if name == "TranslateX" else height)
            return image_geometry.affine_matrix(
                name, -amount if negative else amount, height, width
            )
        case _:
            return (magnitude(name, level),)


def apply_policies(image: Tensor, draws: PolicyDraws) -> Tensor:
    """Return the images after both operations of each.

    Args:
        image: (B, 4, H, W) uint8, RGBA, on any device.
        draws: on the CPU.

    Returns:
        (B, 4, H, W) uint8; alpha is 0 in pixels that came from outside the picture or lie in a
        policy's hole, unless a later operation made them opaque.
    """
    for slot in zip(*(field.unbind(1) for field in draws), strict=True):
        image = _apply_slot(image, *(field.tolist() for field in slot))
    return image


def _apply_slot(
    image: Tensor,
    operation: list[int],
    level: list[int],
    negative: list[bool],
    row: list[int],
    column: list[int],
) -> Tensor:
    height, width = image.shape[-2:]
    members: dict[Apply, list[int]] = defaultdict(list)
    arguments: dict[Apply, list[Arguments]] = defaultdict(list)
    for example, drawn in enumerate(zip(operation, level, negative, row, column, strict=True)):
        name = OPERATIONS[drawn[0]]
        members[_APPLY[name]].append(example)
        arguments[_APPLY[name]].append(_arguments(name, *drawn[1:], height, width))
    order = torch.tensor([example for group in members.values() for example in group])
    grouped = image.index_select(0, order.to(image.device, non_blocking=True))
    groups = torch.split_with_sizes(grouped, [len(group) for group in members.values()])
    done = [
        apply(group, torch.tensor(arguments[apply]).to(image.device, non_blocking=True))
        for apply, group in zip(members, groups, strict=True)
    ]
    back = order.argsort().to(image.device, non_blocking=True)
    return torch.cat(done).index_select(0, back)
