"""How well a score finds the wrong labels, where the truth is known."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from datamodules.batch import UNKNOWN


def detection(
    score: NDArray[np.float64], given: NDArray[np.int64], clean: NDArray[np.int64]
) -> dict[str, float]:
    """Return `noise/auroc` and `noise/ap`: of finding wrong labels, the lowest scores first.

    Args:
        score: (N,), such as trust; low: probably wrong.
        given: labels (N,).
        clean: true labels (N,), `UNKNOWN` or `KNOWN_WRONG`.

    Returns:
        {} where no label, or every one, is known to be wrong.
    """
    known = clean != UNKNOWN
    wrong = torch.from_numpy((given != clean)[known])
    if wrong.all() or not wrong.any():
        return {}
    # ranks in [0, 1], because torchmetrics puts what lies elsewhere through a sigmoid, which ties
    distrust = torch.from_numpy(1 - rankdata(score[known]) / len(wrong))
    target = wrong.long()
    return {
        "noise/auroc": float(binary_auroc(distrust, target)),
        "noise/ap": float(binary_average_precision(distrust, target)),
    }
