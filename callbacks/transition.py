"""The transition matrix P(given label | class): the true one, and the network's estimate of it.

The estimate replaces the true class by the one that the network predicts. Both come from counts
over the examples visited. C is the number of classes.
"""

import torch
from torch import Tensor


def add_pairs(counts: Tensor, predicted: Tensor, label: Tensor, clean_label: Tensor) -> None:
    """Count a batch's pairs in place, without waiting for the device.

    Args:
        counts: `(2, C, C)` integers, by predicted class [0] and by true class [1]; rows are
            classes, columns given labels.
        predicted: predicted classes, `(B,)`.
        label: given labels, `(B,)`.
        clean_label: true labels, `(B,)`; where they are not a class, only [0] is counted.
    """
    known = clean_label >= 0
    classes = counts.shape[-1]
    rows = torch.stack([predicted, classes + clean_label.clamp(min=0)])
    increments = torch.stack([torch.ones_like(known), known]).to(counts.dtype)
    counts.view(-1).index_add_(0, (rows * classes + label).flatten(), increments.flatten())


def transition_error(estimated: Tensor, true: Tensor) -> float | None:
    """Return how far an estimated matrix is from the true one, in [0, 1], or None without truth.

    It is the mean, over the true classes that were seen, of the total variation distance between
    the two rows: half the sum of absolute differences. A class that was never predicted has no
    estimate and counts 1, so that a network that predicts only one class does not look good.

    Args:
        estimated: counts, `(C, C)`, rows are predicted classes.
        true: counts, `(C, C)`, rows are true classes.
    """
    seen = true.sum(dim=1) > 0
    if not seen.any():
        return None
    distance = (_row_shares(estimated) - _row_shares(true)).abs().sum(dim=1) / 2
    never_predicted = estimated.sum(dim=1) == 0
    return float(distance.masked_fill(never_predicted, 1.0)[seen].mean())


def _row_shares(counts: Tensor) -> Tensor:
    return counts.double() / counts.sum(dim=1, keepdim=True).clamp(min=1)
