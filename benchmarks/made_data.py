"""A synthetic data set of any size: labels are drawn as usual, pictures take hardly any memory."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from datamodules.augment import Augment
from datamodules.base import TEST, NoisyLabelDataModule, TestSet
from datamodules.images import ArrayImages, BatchPosition, Images
from datamodules.manifest import Manifest
from datamodules.noise import Labels, corrupt, uniform
from datamodules.randomness import numpy_generator
from datamodules.split import Candidates

SEED, NOISE = 1, 0.4
# Number of different pictures; they repeat after this many rows.
_DIFFERENT_PICTURES = 256


class _MadePictures(Images):
    """N pictures of random pixels, of which only a few are held in memory."""

    def __init__(self, size: int, side: int) -> None:
        self.size = size
        generator = torch.Generator().manual_seed(SEED)
        shape = (_DIFFERENT_PICTURES, 3, side, side)
        self.different_pictures = torch.randint(256, shape, dtype=torch.uint8, generator=generator)

    def __len__(self) -> int:
        return self.size

    def for_evaluation(self, rows: Tensor) -> Tensor:
        """Return the pictures of rows."""
        return self.different_pictures.index_select(0, rows % _DIFFERENT_PICTURES)

    def for_training(self, rows: Tensor, position: BatchPosition) -> Tensor:
        """Return the same."""
        return self.for_evaluation(rows)


class MadeData(NoisyLabelDataModule):
    """Pictures of random pixels with 40 % uniform label noise.

    Args:
        rows: of the training list, the classes in turn.
        num_classes: C.
        batch_size: over all devices.
        side: of the pictures, in pixels.
        probe_per_class: trusted examples of each class.
    """

    def __init__(
        self, rows: int, num_classes: int, batch_size: int, side: int, probe_per_class: int = 1
    ) -> None:
        super().__init__(
            name="made",
            probe_per_class=probe_per_class,
            batch_size=batch_size,
            eval_batch_size=500,
            views=Augment(pad=1),
            seed=SEED,
        )
        self.num_classes, self.train_size, self.side = num_classes, rows, side
        self.num_probe = probe_per_class * num_classes
        self.num_train = rows - self.num_probe
        self.class_names = tuple(f"class {number}" for number in range(num_classes))

    def read(self) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        """Make the pictures, and draw as other data sets do."""
        test = TestSet(ArrayImages(torch.zeros(10, 3, self.side, self.side)), np.arange(10))
        return _MadePictures(self.train_size, self.side), self.draw(), {TEST: test}

    def draw(self) -> Manifest:
        """Draw the probe set and the noise."""
        true = np.arange(self.train_size) % self.num_classes
        noise = uniform(self.num_classes, NOISE)

        def corrupted_labels(rows: Labels) -> Labels:
            return corrupt(true[rows], noise, numpy_generator(SEED, "noise"))

        settings = {"seed": SEED, "probe_per_class": self.probe_per_class}
        return Manifest.draw(
            Candidates(true), corrupted_labels, settings=settings, class_names=self.class_names
        )
