"""What flows from the data to the methods.

B is the number of examples, H and W the image's sides, C the number of classes.
"""

from typing import NamedTuple

from torch import Tensor

# What a true label says where it is no class.
UNKNOWN = -1
KNOWN_WRONG = -2  # it is not the given one; which it is, nobody said


class Batch(NamedTuple):
    """Examples as they lie on disk: no random draw has touched them."""

    image: Tensor  # (B, 3, H, W) uint8
    label: Tensor  # (B,) int64 in [0, C): the given label, right or wrong
    clean_label: Tensor  # (B,) int64: the true class, UNKNOWN, or KNOWN_WRONG
    index: Tensor  # type: ignore[assignment]  # (B,) int64: row in the data set's own training (or test) list


class Views(NamedTuple):
    """Augmented images and the labels given for them: all that a method may look at."""

    weak: Tensor  # (B, 3, H, W) float32 in [-1, 1]
    strong: Tensor | None  # the same examples, strongly augmented, or None if nobody asked
    label: Tensor  # (B,) int64


class Step(NamedTuple):
    """One training step's input."""

    train: Views  # noisy labels
    probe: Views | None  # trusted labels, weak view only
    batch: Batch  # whose views `train` holds; for metrics and the audit, never for a method
