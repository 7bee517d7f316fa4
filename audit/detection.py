"""How well a score finds the wrong labels, where the truth is known."""

import numpy as np
import torch
from numpy.typing import NDArray

from callbacks.noise_metrics import auroc, average_precision
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
    pairs = torch.from_numpy(np.stack([-score, given != clean], axis=1)[known])
    area, precision = auroc(pairs), average_precision(pairs)
    if area is None or precision is None:
        return {}
    return {"noise/auroc": area, "noise/ap": precision}
