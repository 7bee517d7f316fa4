"""Where the pixels of a data set come from, apart from what its labels say."""

from typing import NamedTuple, Protocol

from torch import Tensor


class Place(NamedTuple):
    """Where training looks at images; every draw about them is a function of the seed and this."""

    purpose: str  # such as "train": other purposes draw other things
    step: int
    first: int  # place of the first of them in the global batch
    windows: int  # how many views of each are wanted that begin with a window of their own


class Images(Protocol):
    """The N images of a list, in memory or in files."""

    def __len__(self) -> int:
        """Return N."""
        ...

    def plain(self, rows: Tensor) -> Tensor:
        """Return the images of rows (B,) as evaluation sees them: (B, 3, H, W) uint8."""
        ...

    def drawn(self, rows: Tensor, place: Place) -> Tensor:
        """Return what the views of a training step are made of, uint8.

        Whole images (B, 3, H, W), or (B, place.windows, 3, H, W): windows drawn here.
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
        """Return the same: random crops are made where the batch lies."""
        return self.plain(rows)
