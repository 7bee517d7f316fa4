"""The batches that go from the data module to the methods.

B is the number of examples, H and W the image's sides, C the number of classes.
"""

from typing import NamedTuple

from torch import Tensor

# Values of a clean label that is not a class.
UNKNOWN = -1
KNOWN_WRONG = -2  # the given label is known to be wrong, but not which class is right


class Batch(NamedTuple):
    """Examples before augmentation; large training images are already cut into random windows."""

    image: Tensor  # (B, 3, H, W) uint8; windows (B, windows, 3, H, W), see `Images.for_training`
    label: Tensor  # (B,) int64 in [0, C): the given label, right or wrong
    clean_label: Tensor  # (B,) int64: the true class, UNKNOWN, or KNOWN_WRONG
    index: Tensor  # type: ignore[assignment]  # (B,) int64: row in the data set's own training (or test) list


class Views(NamedTuple):
    """Images as the network sees them, and their labels: all that a method may use."""

    weak: Tensor  # (B, 3, H, W) float32 in [-1, 1]
    strong: Tensor | None  # the same examples, strongly augmented; None if not needed
    label: Tensor  # (B,) int64


class Step(NamedTuple):
    """One training step's input."""

    train: Views  # noisy labels
    probe: Views | None  # trusted labels, weak view only
    batch: Batch  # the examples in `train`; for metrics and the audit, never for a method
