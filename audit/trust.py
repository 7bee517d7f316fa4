"""The trust score: how strongly everything that a run saw supports a given label.

The network judges an example each time that training visits it (weak view, before the step), and
once more at the end (plain image, averaged network). A visit gives a *margin* in [-1, 1]: the
probability of the given label minus that of the likeliest other class. The end gives P, the
probability that the given label is right, given the picture and that label (`audit.confidence`).
With m the mean margin over n visits,

    trust = w (1 + m) / 2 + (1 - w) P,    w = (1 - 1/n) / 2,    in [0, 1].

After many visits both parts count half. A single visit counts for nothing, because the network knew
nothing then. Example weights are not used, so the score means the same for every method.

P is computed with all of T (s = 1): this gives the best order in which to doubt labels, but not how
many to doubt. With a network that knows little, it doubts most. So the odds of all trust scores are
multiplied by one number, which keeps their order, to have as many labels below 1/2 as there are
when P is computed with the likeliest s. A label below 1/2 is called suspicious.

For both parts, probabilities are *levelled*: divided by the level of their class, and normalised to
sum to 1 again. The level of a class is the mean probability that the network gave it, in the
previous epoch, on the examples with that given label; it is 1 for all classes in the first epoch.

Why: only the visits know what the network predicted before it could memorise a wrong label (the
area under the margin, Pleiss et al. 2020, with probabilities instead of logits). Only the end knows
what a finished network knows, such as which classes are mistaken for which. A margin, unlike the
probability of the given label alone, tells an example that is merely hard from one of another
class. And a network trained on labels that are wrong more often in one class than in another gives
that class too little probability: confident learning (Northcutt et al. 2021) judges each class by
its own mean probability, and so do levels. `benchmarks/audit_scores.py` compares all of these.
"""

import numpy as np
import torch
from torch import Tensor

from audit.record import SUSPICIOUS, Floats

# No class is raised by more than this factor, relative to the one with the highest level.
MAX_LEVEL_RATIO = 1e3

_TINY = 1e-9


def levelled(logits: Tensor, level: Tensor) -> Tensor:
    """Return logits (B, C) whose softmax is levelled.

    Args:
        logits: (B, C).
        level: mean probability of each class over the examples given it, (C,).
    """
    return logits - level.clamp(min=level.max() / MAX_LEVEL_RATIO).log()


def levels(sums: Tensor, counts: Tensor) -> Tensor:
    """Return the level of each class, (C,); of one without examples, the mean over all examples.

    Args:
        sums: over the examples with each given label, of its probability, (C,).
        counts: of the examples with each given label, (C,), not all 0.
    """
    overall_mean = sums.sum() / counts.sum()
    return torch.where(counts > 0, sums / counts.clamp(min=1), overall_mean)


def margin(probability: Tensor, given: Tensor) -> Tensor:
    """Return p(given) − max over other classes of p, (B,).

    Args:
        probability: (B, C), rows sum to 1.
        given: labels (B,), int64.
    """
    column = given[:, None]
    of_given = probability.gather(1, column)[:, 0]
    others = probability.scatter(1, column, -torch.inf)
    return of_given - others.amax(dim=1)


def calibrated(score: Floats, count: int) -> Floats:
    """Return scores (N,) in the same order, of which `count` lie below one half.

    All odds are multiplied by one number.

    Args:
        score: in [0, 1], (N,); those that tie at the threshold become one half, not less.
        count: from 0 to N.
    """
    sorted_scores = np.concatenate([[0.0], np.sort(score), [1.0]])
    threshold = np.clip((sorted_scores[count] + sorted_scores[count + 1]) / 2, _TINY, 1 - _TINY)
    return score * (1 - threshold) / (score * (1 - threshold) + (1 - score) * threshold)


def trust(margins: Floats, visits: Floats, p_right: Floats | None) -> Floats:
    """Return the trust score (N,), before `calibrated`.

    Args:
        margins: sum over the visits (N,).
        visits: how many there were (N,); without a visit, the end decides.
        p_right: P at the end (N,), or None without final predictions: then the visits alone decide,
            and the score of an example without any is one half.
    """
    count = np.maximum(visits, 1)
    visit_score = (1 + margins / count) / 2
    if p_right is None:
        return visit_score
    visit_weight = (1 - 1 / count) / 2
    return visit_weight * visit_score + (1 - visit_weight) * p_right


def final_trust(
    margins: Floats, visits: Floats, p_right: Floats, p_right_full_transition: Floats
) -> Floats:
    """Return the trust score (N,) of labels that final predictions were made for.

    Args:
        margins: sum over the visits (N,).
        visits: how many there were (N,); without a visit, the end decides.
        p_right: P at the end, with the likeliest s (N,): says how many labels to doubt.
        p_right_full_transition: P with s = 1 (N,): says in which order.
    """
    suspicious = trust(margins, visits, p_right) < SUSPICIOUS
    score = trust(margins, visits, p_right_full_transition)
    return calibrated(score, int(suspicious.sum()))
