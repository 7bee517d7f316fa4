"""Sources of a data set's images, without labels."""

from typing import NamedTuple, Protocol

from torch import Tensor


class BatchPosition(NamedTuple):
    """Where a training step uses images; every draw about them follows from the seed and this."""

    purpose: str  # such as "train"; different purposes are independent
    step: int
    offset: int  # of the first of these images in the global batch
    windows: int  # number of windows to draw of each image, one for each view


class Images(Protocol):
    """The N images of a list, in memory or in files."""

    def __len__(self) -> int:
        """Return N."""
        ...

    def for_evaluation(self, rows: Tensor) -> Tensor:
        """Return the images of rows (B,) as evaluation sees them: (B, 3, H, W) uint8."""
        ...

    def for_training(self, rows: Tensor, position: BatchPosition) -> Tensor:
        """Return the images that the views of a training step are made from, uint8.

        Whole images (B, 3, H, W), or windows drawn here, (B, position.windows, 3, H, W).
        """
        ...


class ArrayImages:
    """Images in memory, all of one size; training and evaluation see them whole.

    Args:
        image: (N, 3, H, W) uint8.
    """

    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __len__(self) -> int:
        return len(self.image)

    def for_evaluation(self, rows: Tensor) -> Tensor:
        """Return the images of rows (B,): (B, 3, H, W) uint8."""
        return self.image.index_select(0, rows)

    def for_training(self, rows: Tensor, position: BatchPosition) -> Tensor:
        """Return whole images, as `for_evaluation` does: the device makes random crops later."""
        return self.for_evaluation(rows)
