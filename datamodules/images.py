"""Sources of a data set's images, without labels."""

from typing import NamedTuple, Protocol

from torch import Tensor


class Place(NamedTuple):
    """Where training uses images; every draw about them is a function of the seed and this."""

    purpose: str  # such as "train"; different purposes are independent
    step: int
    first: int  # place of the first of these images in the global batch
    windows: int  # number of windows to draw of each image, one for each view


class Images(Protocol):
    """The N images of a list, in memory or in files."""

    def __len__(self) -> int:
        """Return N."""
        ...

    def plain(self, rows: Tensor) -> Tensor:
        """Return the images of rows (B,) as evaluation sees them: (B, 3, H, W) uint8."""
        ...

    def drawn(self, rows: Tensor, place: Place) -> Tensor:
        """Return the images that the views of a training step are made from, uint8.

        Whole images (B, 3, H, W), or windows drawn here, (B, place.windows, 3, H, W).
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

    def plain(self, rows: Tensor) -> Tensor:
        """Return the images of rows (B,): (B, 3, H, W) uint8."""
        return self.image.index_select(0, rows)

    def drawn(self, rows: Tensor, place: Place) -> Tensor:
        """Return the same as `plain`: random crops are made later, on the batch's device."""
        return self.plain(rows)
