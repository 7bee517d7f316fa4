"""Weak and strong views of a whole batch, made on its device.

Source: reference 1.6 (weak) and 1.7 (strong). It states the lengths of the strong view for 32x32
images: translations, padding (4), cutout (16) and the hole of the policies' Cutout. For other sizes
we scale them and truncate to whole pixels. The weak view's padding is a setting and is not scaled.
"""

from typing import TypeVar

import torch
from torch import Generator, Tensor

from datamodules.apply_policies import apply_policies
from datamodules.augment_draws import (
    WHOLE_BATCH,
    BatchShard,
    CropDraws,
    HoleDraws,
    PolicyDraws,
    StrongDraws,
    draw_autoaugment,
    draw_crop,
    draw_hole,
    draw_randaugment,
)
from datamodules.config_checks import check_bool, check_integer, check_one_of
from datamodules.image_geometry import crop, square_mask
from datamodules.policies import REFERENCE_SIDE, scale_length

STRONG_VIEWS = ("autoaugment", "randaugment", "randaugment_per_example", "none")

_BLACK = _TRANSPARENT = 0  # on the scale from 0 to 255
_GREY = 0.0  # on the scale from -1 to 1
_STRONG_PAD, _STRONG_HOLE = 4, 16

_Draws = TypeVar("_Draws", CropDraws, HoleDraws)


def _to_device(draws: _Draws, device: torch.device) -> _Draws:
    return type(draws)(*(field.to(device, non_blocking=True) for field in draws))


def normalise(image: Tensor) -> Tensor:
    """Return uint8 values 0 to 255 as float32 from -1 to 1, rounded exactly like the reference."""
    # Multiplying and dividing round differently, and the strong view truncates the result.
    return image.to(torch.float32, copy=True).mul_(1 / 255).sub_(0.5).mul_(2)


def to_uint8(view: Tensor) -> Tensor:
    """Return values from -1 to 1 as uint8, truncated as the reference does before its policies."""
    return view.mul(0.5).add_(0.5).mul_(255).to(torch.uint8)


def check_uint8(image: Tensor) -> None:
    """Check that images are uint8.

    Raises:
        ValueError: if they are not.
    """
    if image.dtype != torch.uint8:
        raise ValueError(f"image is {image.dtype}: give uint8 values from 0 to 255.")


def hole_mask(view: Tensor, draws: HoleDraws, reference_side: int) -> Tensor:
    """Return the mask of the strong view's cutout hole, (B, 1, H, W) bool.

    Args:
        view: (B, C, H, W); only its shape and device are used.
        draws: the centres.
        reference_side: the image side for which the reference states a hole of 16 pixels.
    """
    height, width = view.shape[-2:]
    row, column = _to_device(draws, view.device)
    half = torch.tensor(
        [[scale_length(_STRONG_HOLE // 2, side, reference_side) for side in (height, width)]]
    )
    return square_mask(row, column, half.to(view.device, non_blocking=True), height, width)


class Augment:
    """Weak and strong views of CIFAR-like images.

    Args:
        pad: pixels of black padding around the image before the weak view is cropped.
        flip: whether half of the weak views and, independently, half of the strong views are
            mirrored; off for images that mirroring changes in meaning, such as digits.
        strong: "autoaugment" (each example has its own policy), "randaugment" (two operations for
            the whole batch, as in the reference), "randaugment_per_example" or "none" (the strong
            view is another crop and flip of the weak one).

    Raises:
        ValueError: if `strong` is none of these, `pad` not a whole number, or `flip` not a bool.
    """

    def __init__(self, *, pad: int = 2, flip: bool = True, strong: str = "autoaugment") -> None:
        check_one_of("augment", strong, STRONG_VIEWS)
        check_integer("dataset.pad", pad, 0)
        check_bool("dataset.flip", flip)
        self.pad = pad
        self.flip = flip
        self.strong_view = strong

    def weak(self, image: Tensor, generator: Generator, shard: BatchShard = WHOLE_BATCH) -> Tensor:
        """Return weak views (B, 3, H, W), float32 in [-1, 1], of uint8 images of the same shape.

        Args:
            image: this rank's part of the global batch.
            generator: a CPU generator, in the same state on all ranks.
            shard: which part that is.

        Raises:
            ValueError: if the images are not uint8.
        """
        check_uint8(image)
        num_offsets = 2 * self.pad + 1
        count = len(image) * shard.world_size
        draws = draw_crop(generator, count, num_offsets, num_offsets, flip=self.flip)
        return self.apply_weak(image, shard.take(draws))

    def strong(self, weak: Tensor, generator: Generator, shard: BatchShard = WHOLE_BATCH) -> Tensor:
        """Return strong views made from weak views, of the same shape; see `weak`."""
        count, _, height, width = weak.shape
        draws = self.draw_strong(generator, count * shard.world_size, height, width)
        return self.apply_strong(weak, shard.take(draws))

    def views(
        self, image: Tensor, generator: Generator, shard: BatchShard, *, strong: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return weak views and, if `strong`, strong views made from them; see `weak`."""
        weak = self.weak(image, generator, shard)
        return weak, self.strong(weak, generator, shard) if strong else None

    def draw_strong(self, generator: Generator, count: int, height: int, width: int) -> StrongDraws:
        """Make all draws for the strong views of `count` examples."""
        policy: PolicyDraws | None = None
        if self.strong_view == "autoaugment":
            policy = draw_autoaugment(generator, count, height, width)
        elif self.strong_view != "none":
            per_example = self.strong_view == "randaugment_per_example"
            policy = draw_randaugment(generator, count, height, width, per_example=per_example)
        # As in the reference, the last offset, 2 * pad, is never drawn; a tiny image has only one.
        rows, columns = (max(1, 2 * scale_length(_STRONG_PAD, side)) for side in (height, width))
        window = draw_crop(generator, count, rows, columns, flip=self.flip)
        hole = None if policy is None else draw_hole(generator, count, height, width)
        return StrongDraws(policy, window, hole)

    def apply_weak(self, image: Tensor, draws: CropDraws) -> Tensor:
        """Return the weak views for given draws; see `weak`."""
        top, left, flip = _to_device(draws, image.device)
        return normalise(crop(image, top, left, flip, (self.pad, self.pad), _BLACK))

    def apply_strong(self, weak: Tensor, draws: StrongDraws) -> Tensor:
        """Return the strong views for given draws; see `strong`."""
        height, width = weak.shape[-2:]
        window = _to_device(draws.crop, weak.device)
        margin = scale_length(_STRONG_PAD, height), scale_length(_STRONG_PAD, width)
        if draws.policy is None or draws.hole is None:
            return crop(weak, *window, margin, _GREY)
        rgb = to_uint8(weak)
        rgba = torch.cat([rgb, torch.full_like(rgb[:, :1], 255)], dim=1)
        # Pixels that end up transparent, padding included, become grey.
        rgba = crop(apply_policies(rgba, draws.policy), *window, margin, _TRANSPARENT)
        grey = (rgba[:, 3:] == 0) | hole_mask(rgba, draws.hole, REFERENCE_SIDE)
        return normalise(rgba[:, :3]).masked_fill_(grey, _GREY)
