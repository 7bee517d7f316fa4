"""How sure a suggestion is: what the picture says, and what the label says that it came with.

A network's probability of a class knows nothing of how often labels of that class are given as the
label at hand. By Bayes' rule, with p the network's probabilities and Q[k, j] the share of class k's
examples that are given label j,

    P(class k | picture, given label j) = p_k Q[k, j] / Σ_i p_i Q[i, j]

So a suggestion counts for little where such mistakes are rare, and where no label is wrong hardly
any is replaced. Q is estimated in two steps. T, counted by the classes that the network suggests,
takes its own mistakes for wrong labels; so only a share s of it is believed,

    Q = (1 - s) I + s T

and s is the one that makes all given labels likeliest, Π_n Σ_k p_k(n) Q[k, given(n)]. Of a network
that is always right s is 1; of one that is right as often as it says, over labels that are all
right, it is 0, however little it knows. The likelihood is concave in s.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from audit.record import Floats, Rows
from datamodules.noise import transition_counts

_TINY = 1e-12


class Said(NamedTuple):
    """What a network says of N examples, as far as Bayes' rule needs it."""

    suggested: Tensor  # (N,) int64, the likeliest class
    of_suggested: Tensor  # (N,) its probability
    of_given: Tensor  # (N,) p_j, the given label's
    by_mistake: Tensor  # (N,) Σ_k p_k T[k, j], how T explains the given label


def said(probability: Tensor, given: Tensor, of_class: Tensor) -> Said:
    """Return what is needed of a batch.

    Args:
        probability: the network's, (B, C).
        given: labels (B,).
        of_class: T, (C, C).
    """
    of_suggested, suggested = probability.max(dim=1)
    of_given = probability.gather(1, given[:, None])[:, 0]
    return Said(suggested, of_suggested, of_given, (probability * of_class.t()[given]).sum(dim=1))


def transition(suggested: Rows, given: Rows, num_classes: int) -> Floats:
    """Return T, (C, C): rows sum to 1; a row of no examples is the same for all labels.

    Args:
        suggested: classes (N,).
        given: labels (N,).
        num_classes: C.
    """
    counts = transition_counts(suggested, given, num_classes) + 1 / num_classes
    return counts / counts.sum(axis=1, keepdims=True)


def believed_share(of_given: Floats, by_mistake: Floats) -> float:
    """Return s, the share of T that makes all given labels likeliest.

    Args:
        of_given: p_j, (N,).
        by_mistake: Σ_k p_k T[k, j], (N,).
    """
    more = by_mistake - of_given

    def slope(share: float) -> float:  # of the mean log-likelihood; it falls as the share grows
        return float((more / (of_given + share * more + _TINY)).mean())

    if slope(0) <= 0:
        return 0.0
    return 1.0 if slope(1) >= 0 else float(brentq(slope, 0, 1))


def believed(of_class: Floats, share: float) -> Floats:
    """Return Q = (1 - s) I + s T."""
    return (1 - share) * np.eye(len(of_class)) + share * of_class


class Judged(NamedTuple):
    """What becomes of it, for N examples, float32."""

    confidence: Tensor  # (N,) P(suggested class | picture, given label)
    right: Tensor  # (N,) P(given label is right | picture, given label)
    right_by_all: Tensor  # (N,) the same with all of T believed: for the order, see `audit.trust`


def judged(all_said: Said, given: Tensor, of_class: Floats) -> Judged:
    """Return P(class | picture, given label) of suggested and of given classes, (N,) float32.

    Args:
        all_said: of all the N examples that T was counted over.
        given: their labels (N,).
        of_class: T, (C, C).
    """
    of_given, by_mistake = (one.double().numpy() for one in all_said[2:])
    share = believed_share(of_given, by_mistake)
    given_as = believed(of_class, share)
    everything = (1 - share) * of_given + share * by_mistake + _TINY
    place, suggested = given.numpy(), all_said.suggested.numpy()
    right = of_given * given_as[place, place] / everything
    confidence = all_said.of_suggested.double().numpy() * given_as[suggested, place] / everything
    by_all = of_given * of_class[place, place] / (by_mistake + _TINY)
    return Judged(*(torch.from_numpy(one).float() for one in (confidence, right, by_all)))


def at_least(probability: Floats, suggested: Rows, given: Rows, of_class: Floats) -> Floats:
    """Return a lower bound of P(suggested class | picture, given label), (N,).

    For who knows the suggestion's probability only: all the rest is taken for the given label's.
    Where the two are the same class, it is the probability as it is.

    Args:
        probability: of the suggestion, (N,).
        suggested: classes (N,).
        given: labels (N,).
        of_class: T, (C, C).
    """
    same, rest = suggested == given, 1 - probability
    others = np.where(same, 0.0, rest * of_class[given, given])
    share = believed_share(
        np.where(same, probability, rest), probability * of_class[suggested, given] + others
    )
    given_as = believed(of_class, share)
    ours = probability * given_as[suggested, given]
    theirs = rest * given_as[given, given]
    return np.where(same, probability, ours / np.maximum(ours + theirs, _TINY))
