"""The trust score: how far everything a run saw speaks for a given label.

A run takes one look at an example at every visit (weak view, before the step: the network as it is)
and one at the end (plain image, averaged network). A visit gives a *margin*, in [-1, 1]: the
probability of the given label less that of the likeliest other class. The end gives P, the
probability that the given label is right, given the picture and that label (`audit.confidence`).
With m the mean margin over n visits,

    trust = w (1 + m) / 2 + (1 - w) P,    w = (1 - 1/n) / 2,    in [0, 1].

Both count half in the end; one visit only was by a network that knew nothing, and counts for
nothing. It takes no example weights, so that it is the same for every method.

P has all of T believed, which tells best in which order labels are to be doubted, but not how many:
of a network that knows little, it doubts most. All odds of trust are therefore multiplied by one
number, which keeps their order, so that as many labels lie below 1/2 as do where P has only the
likeliest share of T believed. Below 1/2 a label is called suspicious.

Probabilities are *levelled* for both: divided by the class's level, and made to sum to 1 again. The
level of a class is the network's mean probability of it over the examples that are given it, in the
epoch before; 1 for all in the first epoch.

Why: the visits alone know what the network thought before it could learn a wrong label by heart
(the area under the margin, Pleiss et al. 2020, with probabilities for logits); the end alone knows
what only a finished network does, which classes are mistaken for which among it. A margin, and not
just the probability of the given label, tells an example that is merely hard from one of another
class. And a network that learnt from labels that are wrong more often in one class than in another
gives that class too little: confident learning (Northcutt et al. 2021) judges each class by its own
mean probability, and so do levels. `benchmarks/audit_scores.py` sets all of these side by side.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


# No class is levelled up by more than this.
MOST = 1e3

_TINY = 1e-9


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


def calibrated(score: Floats, count: int) -> Floats:
    """Return scores (N,) in the same order, of which `count` lie below one half.

    All odds are multiplied by one number.

    Args:
        score: in [0, 1], (N,); those that tie where the line is drawn lie on it, not below.
        count: from 0 to N.
    """
    ordered = np.concatenate([[0.0], np.sort(score), [1.0]])
    line = np.clip((ordered[count] + ordered[count + 1]) / 2, _TINY, 1 - _TINY)
    return score * (1 - line) / (score * (1 - line) + (1 - score) * line)


def trust(margins: Floats, visits: Floats, end: Floats | None) -> Floats:
    """Return the trust score (N,); one half where there was neither a visit nor an end.

    Args:
        margins: sum over the visits (N,).
        visits: how many there were (N,).
        end: P at the end (N,), or None where no look was taken: then the visits decide.
    """
    count = np.maximum(visits, 1)
    of_visits = (1 + margins / count) / 2
    if end is None:
        return of_visits
    share = (1 - 1 / count) / 2
    return share * of_visits + (1 - share) * end
