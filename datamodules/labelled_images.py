"""Images with their labels."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batch import Batch
from datamodules.images import BatchPosition, Images

Rows = npt.NDArray[np.int64]


class LabelledImages(Dataset[Batch]):
    """Some of a list's images with their labels; an index is an array of rows, an item a batch.

    Args:
        images: of the whole list.
        label: given labels (N,) int64.
        clean_label: true labels (N,) int64, `UNKNOWN` or `KNOWN_WRONG` where there is none.
        index: (N,) int64, the rows of the list that these are.
    """

    def __init__(self, images: Images, label: Rows, clean_label: Rows, index: Rows) -> None:
        self.images = images
        self.label, self.clean_label, self.index = (
            torch.from_numpy(part) for part in (label, clean_label, index)
        )

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Rows) -> Batch:
        """Return the examples at `rows` (B,) as evaluation sees them; rows may repeat."""
        return self._batch(rows, None)

    @property
    def all_examples(self) -> Batch:
        """All examples, as evaluation sees them."""
        return self[np.arange(len(self))]

    def for_training(self, rows: Rows, position: BatchPosition) -> Batch:
        """Return the examples at `rows` (B,) as a training step sees them."""
        return self._batch(rows, position)

    def _batch(self, rows: Rows, position: BatchPosition | None) -> Batch:
        chosen = torch.from_numpy(rows)
        label, clean_label, index = (
            part.index_select(0, chosen) for part in (self.label, self.clean_label, self.index)
        )
        images = self.images
        image: Tensor = (
            images.for_evaluation(index)
            if position is None
            else images.for_training(index, position)
        )
        return Batch(image, label, clean_label, index)
