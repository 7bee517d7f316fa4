"""The trust score: how far everything a run saw speaks for a given label.

Each look at an example gives a *margin*, in [-1, 1]: the probability of the given label less that
of the likeliest other class. Probabilities are *levelled* for it: divided by the class's level, and
made to sum to 1 again. The level of a class is the network's mean probability of it over the
examples that are given it, in the epoch before; 1 for all in the first epoch. A run takes one look
at every visit (weak view, before the step: the network as it is) and one at the end (plain image,
averaged network). With m the mean over the visits and e the margin at the end,

    trust = 1/2 + (m + e) / 4,    in [0, 1].

Below 1/2 another class is believed in more than the given one, on balance. It takes no example
weights, so that it is the same for every method.

Why: the visits alone know what the network thought before it could learn a wrong label by heart
(the area under the margin, Pleiss et al. 2020, with probabilities for logits); the end alone knows
what only a finished network does. A margin, and not just the probability of the given label, tells
an example that is merely hard from one of another class. And a network that learnt from labels that
are wrong more often in one class than in another gives that class too little: confident learning
(Northcutt et al. 2021) judges each class by its own mean probability, and so do levels.
`benchmarks/audit_scores.py` sets all of these side by side.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


# No class is levelled up by more than this.
MOST = 1e3


def levelled(logits: Tensor, level: Tensor) -> Tensor:
    """Return logits (B, C) whose softmax is levelled.

    Args:
        logits: (B, C).
        level: mean probability of each class over the examples given it, (C,).
    """
    return logits - level.clamp(min=level.max() / MOST).log()


def levels(sums: Tensor, counts: Tensor) -> Tensor:
    """Return the level of each class, (C,); of one that nobody is given, that of the average label.

    Args:
        sums: of the probability of the given label, by given label, (C,).
        counts: of examples, by given label, (C,), not all 0.
    """
    everyones = sums.sum() / counts.sum()
    return torch.where(counts > 0, sums / counts.clamp(min=1), everyones)


def margin(probability: Tensor, given: Tensor) -> Tensor:
    """Return p(given) − max over other classes of p, (B,).

    Args:
        probability: (B, C), rows sum to 1.
        given: labels (B,), int64.
    """
    place = given[:, None]
    of_given = probability.gather(1, place)[:, 0]
    others = probability.scatter(1, place, -torch.inf)
    return of_given - others.amax(dim=1)


def trust(visits: Floats, end: Floats | None) -> Floats:
    """Return the trust score (N,).

    Args:
        visits: mean margin over the visits (N,), NaN where there was none: then the end decides.
        end: margin at the end (N,), or None where no look was taken: then the visits decide.
    """
    if end is None:
        return (1 + visits) / 2
    return 0.5 + (np.where(np.isnan(visits), end, visits) + end) / 4
