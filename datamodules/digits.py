"""The handwritten digits that scikit-learn ships: nothing to download.

1,797 grey images of 8x8 pixels from the UCI "Optical Recognition of Handwritten Digits" test set.
"""

import numpy as np
import torch
from torch import Tensor

from datamodules.base import NoisyLabelDataModule, Source
from datamodules.noise import DIGIT_FLIPS


class Digits(NoisyLabelDataModule):
    """1,297 training and 500 test images; the split is stratified and the same for every seed."""

    num_classes = 10
    train_size = 1297
    smallest_class = 126
    flips = DIGIT_FLIPS

    def read(self) -> Source:
        """Return the images, 0..16 stretched to 0..255 and repeated to three channels."""
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
            class_names=tuple(str(name) for name in digits.target_names),
        )
