"""The handwritten digits that scikit-learn ships: nothing to download.

1,797 grey images of 8x8 pixels from the UCI "Optical Recognition of Handwritten Digits" test set.
"""

import numpy as np
import torch
from torch import Tensor

from datamodules.clean import CleanDataModule, Source
from datamodules.noise import DIGIT_FLIPS


class Digits(CleanDataModule):
    """1,297 training and 500 test images; the split is stratified and the same for every seed."""

    class_names = tuple("0123456789")
    class_sizes = (128, 131, 128, 132, 131, 131, 131, 129, 126, 130)
    flips = DIGIT_FLIPS

    def source(self) -> Source:
        """Return the images, scaled from 0..16 to 0..255 and repeated to three channels."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        grey = torch.from_numpy(np.rint(digits.images * (255 / 16)).astype(np.uint8))
        label = digits.target.astype(np.int64)
        rows = np.arange(len(label))
        train, test = train_test_split(rows, test_size=500, stratify=label, random_state=0)

        def colour(chosen: np.ndarray) -> Tensor:
            return grey[torch.from_numpy(chosen)].unsqueeze(1).repeat(1, 3, 1, 1)

        return Source(
            train_image=colour(train),
            train_label=label[train],
            test_image=colour(test),
            test_label=label[test],
        )
