"""What a run says about each label: arrays with one entry per example."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.batch import UNKNOWN

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Below this trust, the given label is more likely wrong than right, on balance.
SUSPICIOUS = 0.5


class Audit(NamedTuple):
    """The audit of M noisy examples, in order of the training list; or of M test labels."""

    index: Integers  # type: ignore[assignment]  # (M,) row in that list
    given: Integers  # (M,) the given label
    clean: Integers  # (M,) the true one, UNKNOWN, or KNOWN_WRONG
    suggested: Integers  # (M,) the class the network thinks likeliest
    confidence: Floats  # (M,) the probability of that class, see `audit.confidence`
    trust: Floats  # (M,) in [0, 1], see `audit.trust`
    weight: Floats  # (M,) mean example weight, 1 on average over a batch; NaN without weights
    weight_sd: Floats  # (M,) its standard deviation over the visits; NaN without weights
    zero_share: Floats  # (M,) share of the visits with weight 0; NaN without weights
    visits: Integers  # (M,) how often a training step saw it

    @property
    def known(self) -> Mask:
        """Which labels are known to be right or wrong."""
        return self.clean != UNKNOWN

    @property
    def wrong(self) -> Mask:
        """Which labels are known to be wrong."""
        return self.known & (self.given != self.clean)

    @property
    def suspicious(self) -> Mask:
        """Which labels are called wrong: those with a trust score below one half."""
        return self.trust < SUSPICIOUS

    @property
    def estimated_class(self) -> Integers:
        """The likeliest class: the suggested one if the label is suspicious, else the given one.

        Other suggestions are more often the network's own mistakes.
        """
        return np.where(self.suspicious, self.suggested, self.given)

    def subset(self, mask: Mask) -> "Audit":
        """Return the audit of those examples whose mask, (M,), is true."""
        columns: Any = [column[mask] for column in self]
        return Audit(*columns)

    @property
    def order(self) -> Integers:
        """Rows, the most suspicious first."""
        return np.argsort(self.trust, kind="stable")
