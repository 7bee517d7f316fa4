"""Weak and strong views of large images, a whole batch at once, on the batch's device.

Source: reference 1.10. Unlike in `augment`, each view starts from its own window of the picture,
already cut and resized by `image_windows`. So the strong view has neither padding nor grey: its
policies fill pixels that come from outside, and its hole is black.
"""

from typing import NamedTuple

from torch import Generator, Tensor

from datamodules.apply_policies import apply_policies
from datamodules.augment import check_uint8, hole_mask, normalise
from datamodules.augment_draws import (
    WHOLE_BATCH,
    BatchShard,
    HoleDraws,
    PolicyDraws,
    draw_autoaugment,
    draw_hole,
)
from datamodules.imagenet_policies import IMAGENET, IMAGENET_SIDE

_BLACK = 0


class LargeDraws(NamedTuple):
    """All draws for the strong views of a batch of windows."""

    policy: PolicyDraws
    hole: HoleDraws


STRONG_VIEWS = ("autoaugment", "none")


class LargeViews:
    """Weak and strong views of windows of large images.

    The strong view's lengths are stated for 224x224 windows and scaled to other sizes.

    Args:
        strong: "autoaugment", or "none" (the strong view is just another window).

    Raises:
        ValueError: if `strong` is neither.
    """

    def __init__(self, *, strong: str = "autoaugment") -> None:
        if strong not in STRONG_VIEWS:
            raise ValueError(
                f"augment={strong} is not a strong view of large pictures: choose one of "
                f"{', '.join(STRONG_VIEWS)}."
            )
        self.strong_view = strong

    def views(
        self, image: Tensor, generator: Generator, shard: BatchShard, *, strong: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return weak views of the first windows and, if `strong`, strong views of the second ones.

        Args:
            image: the windows, (B, 2, 3, H, W) uint8; without strong views, one each is enough.
            generator: a CPU generator, in the same state on all ranks.
            shard: which part of the global batch this is.
            strong: whether to return strong views.
        """
        return self.weak(image[:, 0]), (
            self.strong(image[:, 1], generator, shard) if strong else None
        )

    def weak(self, window: Tensor) -> Tensor:
        """Return weak views (B, 3, H, W), float32 in [-1, 1], of uint8 windows of the same shape.

        Raises:
            ValueError: if the windows are not uint8.
        """
        check_uint8(window)
        return normalise(window)

    def strong(
        self, window: Tensor, generator: Generator, shard: BatchShard = WHOLE_BATCH
    ) -> Tensor:
        """Return strong views (B, 3, H, W), float32 in [-1, 1], of uint8 windows of the same shape.

        Args:
            window: windows of the same pictures, drawn independently of those of the weak views.
            generator: a CPU generator, in the same state on all ranks.
            shard: which part of the global batch this is.

        Raises:
            ValueError: if the windows are not uint8.
        """
        if self.strong_view == "none":
            return self.weak(window)
        count, _, height, width = window.shape
        draws = self.draw_strong(generator, count * shard.world_size, height, width)
        return self.apply_strong(window, shard.take(draws))

    def draw_strong(self, generator: Generator, count: int, height: int, width: int) -> LargeDraws:
        """Make all draws for the strong views of `count` examples."""
        policy = draw_autoaugment(generator, count, height, width, IMAGENET)
        return LargeDraws(policy, draw_hole(generator, count, height, width))

    def apply_strong(self, window: Tensor, draws: LargeDraws) -> Tensor:
        """Return the strong views for given draws; see `strong`."""
        check_uint8(window)
        view = apply_policies(window, draws.policy, IMAGENET)
        return normalise(view.masked_fill_(hole_mask(view, draws.hole, IMAGENET_SIDE), _BLACK))
