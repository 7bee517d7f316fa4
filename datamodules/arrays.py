"""Labelled images that fit into memory."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batch import Batch


class LabelledImages(Dataset[Batch]):
    """A `Batch` of all examples, from which any rows can be taken at once.

    Args:
        image: (N, 3, H, W) uint8.
        label: given labels (N,) int64.
        clean_label: true labels (N,) int64, -1 where unknown.
        index: (N,) int64, the rows in the data set's own list.
    """

    def __init__(self, image: Tensor, label: Tensor, clean_label: Tensor, index: Tensor) -> None:
        self.everything = Batch(image, label, clean_label, index)

    def __len__(self) -> int:
        return len(self.everything.label)

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Return the given rows, (B,), in their order; a row may come more than once."""
        chosen = torch.from_numpy(rows)
        return Batch(*(part.index_select(0, chosen) for part in self.everything))
