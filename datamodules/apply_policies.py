"""Apply to each example of a batch the operations drawn for it (reference 1.7, 1.8, 1.10).

The draws are on the CPU, so examples are grouped there by the function that applies their operation
and nothing waits for the device. Each function runs once, on its group.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor

from datamodules import image_geometry, image_ops
from datamodules.augment_draws import PolicyDraws
from datamodules.policies import CIFAR, SIGNED_OPERATIONS, PolicySet

Apply = Callable[[Tensor, Tensor], Tensor]
Arguments = tuple[float, ...]


def _without_arguments(apply: Callable[[Tensor], Tensor]) -> Apply:
    return lambda image, _: apply(image)


_APPLY: dict[str, Apply] = {
    "Identity": _without_arguments(lambda image: image),
    "Cutout": image_geometry.cutout,
    "AutoContrast": _without_arguments(image_ops.auto_contrast),
    "Equalize": _without_arguments(image_ops.equalise),
    # Invert has magnitude 0: with that threshold, Solarize inverts every value.
    "Invert": image_ops.solarise,
    "Solarize": image_ops.solarise,
    "SolarizeAdd": image_ops.solarise_add,
    "Posterize": image_ops.posterise,
    "Colour": image_ops.colour,
    "Contrast": image_ops.contrast,
    "Brightness": image_ops.brightness,
    "Sharpness": image_ops.sharpness,
}


@cache
def _function_of_operation(policy_set: PolicySet) -> dict[str, Apply]:
    affine = partial(image_geometry.affine, outside=policy_set.outside)
    return {name: _APPLY.get(name, affine) for name in policy_set.operations}


def _operation_arguments(
    policy_set: PolicySet,
    name: str,
    level: int,
    negative: bool,
    row: int,
    column: int,
    height: int,
    width: int,
) -> Arguments:
    tall, wide = (policy_set.magnitude(name, level, side) for side in (height, width))
    if name == "Cutout":
        return row, column, tall, wide
    amount = wide if name == "TranslateX" else tall
    if name not in SIGNED_OPERATIONS:
        return (amount,)
    signed = -amount if negative else amount
    return image_geometry.affine_matrix(name, signed, height, width, policy_set.shear_origin)


def apply_policies(image: Tensor, draws: PolicyDraws, policy_set: PolicySet = CIFAR) -> Tensor:
    """Return the images after both operations drawn for each.

    Args:
        image: uint8, on any device: RGBA, (B, 4, H, W), or RGB, (B, 3, H, W), for a set that needs
            no alpha channel.
        draws: drawn from the same set, on the CPU.
        policy_set: the set whose operations the draws index.

    Returns:
        uint8 of the same shape; with CIFAR's set, alpha is 0 in pixels that came from outside the
        picture or lie in the hole of a Cutout, unless a later operation made them opaque.
    """
    for slot in zip(*(field.unbind(1) for field in draws), strict=True):
        image = _apply_slot(policy_set, image, *(field.tolist() for field in slot))
    return image


def _apply_slot(
    policy_set: PolicySet,
    image: Tensor,
    operation: list[int],
    level: list[int],
    negative: list[bool],
    row: list[int],
    column: list[int],
) -> Tensor:
    height, width = image.shape[-2:]
    function_of = _function_of_operation(policy_set)
    members: dict[Apply, list[int]] = defaultdict(list)
    arguments: dict[Apply, list[Arguments]] = defaultdict(list)
    for example, draw in enumerate(zip(operation, level, negative, row, column, strict=True)):
        name = policy_set.operations[draw[0]]
        members[function_of[name]].append(example)
        arguments[function_of[name]].append(
            _operation_arguments(policy_set, name, *draw[1:], height, width)
        )
    order = torch.tensor([example for group in members.values() for example in group])
    grouped = image.index_select(0, order.to(image.device, non_blocking=True))
    groups = torch.split_with_sizes(grouped, [len(group) for group in members.values()])
    applied = [
        apply(group, torch.tensor(arguments[apply]).to(image.device, non_blocking=True))
        for apply, group in zip(members, groups, strict=True)
    ]
    inverse_order = order.argsort().to(image.device, non_blocking=True)
    return torch.cat(applied).index_select(0, inverse_order)
