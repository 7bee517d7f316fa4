"""How well a score finds the wrong labels, where the truth is known."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from datamodules.batch import UNKNOWN


def detection(
    score: NDArray[np.float64], given: NDArray[np.int64], clean: NDArray[np.int64]
) -> dict[str, float]:
    """Return `noise/auroc` and `noise/ap` of finding the wrong labels by their low scores.

    Args:
        score: (N,), such as trust; low: probably wrong.
        given: labels (N,).
        clean: true labels (N,), `UNKNOWN` or `KNOWN_WRONG`.

    Returns:
        {} if the labels of known truth are all right or all wrong.
    """
    known = clean != UNKNOWN
    pairs = torch.from_numpy(np.stack([-score, given != clean], axis=1)[known])
    area, precision = auroc(pairs), average_precision(pairs)
    if area is None or precision is None:
        return {}
    return {"noise/auroc": area, "noise/ap": precision}


def auroc(pairs: Tensor) -> float | None:
    """Return the area under the ROC curve, or None if all labels are right or all wrong.

    It is the chance that a wrong label is more suspicious than a right one, ties counting half.

    Args:
        pairs: suspicion, and whether the label is wrong, (N, 2); rows with a NaN are left out.
    """
    ranked = _ranked(pairs)
    return None if ranked is None else float(binary_auroc(*ranked))


def average_precision(pairs: Tensor) -> float | None:
    """Return the average precision, or None if all labels are right or all wrong.

    It is the mean, over the wrong labels, of the share of wrong ones among all labels that are at
    least as suspicious. Chance gives the share of wrong labels.

    Args:
        pairs: suspicion, and whether the label is wrong, (N, 2); rows with a NaN are left out.
    """
    ranked = _ranked(pairs)
    return None if ranked is None else float(binary_average_precision(*ranked))


def _ranked(pairs: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return ranks of the suspicions in [0, 1), ties kept, and which labels are wrong (0, 1).

    torchmetrics would put suspicions, which are negative, through a sigmoid, and so tie the small
    weights that matter here. Only their order counts. None if all labels are right or all wrong.
    """
    pairs = pairs.detach().cpu().double()
    score, wrong = pairs[~pairs.isnan().any(dim=1)].unbind(dim=1)
    if wrong.unique().numel() < 2:
        return None
    values, rank = score.unique(return_inverse=True)
    return rank.double() / len(values), wrong.long()
