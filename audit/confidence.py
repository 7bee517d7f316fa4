"""How sure a suggestion is, given the picture and the label it came with.

A network's probability of a class does not say how often examples of that class are given the label
at hand. By Bayes' rule, with p the network's probabilities and Q[k, j] the share of class k's
examples that are given label j,

    P(class k | picture, given label j) = p_k Q[k, j] / Σ_i p_i Q[i, j]

So a suggestion counts for little where such mistakes are rare, and where no label is wrong hardly
any is replaced. Q is estimated in two steps. T is counted from the classes that the network
suggests, so it counts the network's own mistakes as wrong labels. Only a share s of it is believed,

    Q = (1 - s) I + s T

where s maximises the likelihood of all given labels, Π_n Σ_k p_k(n) Q[k, given(n)]; its logarithm
is concave in s. For a network that is always right, s is 1. For a calibrated network and labels
that are all right, s is 0, however little the network knows.
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
    """What Bayes' rule needs of a network's predictions for N examples with given labels j."""

    suggested: Tensor  # (N,) int64, the likeliest class
    of_suggested: Tensor  # (N,) its probability
    of_given: Tensor  # (N,) p_j, that of the given label
    by_mistake: Tensor  # (N,) Σ_k p_k T[k, j], probability of being given label j, if Q is T


def said(probability: Tensor, given: Tensor, of_class: Tensor) -> Said:
    """Return what Bayes' rule needs of a batch.

    Args:
        probability: the network's, (B, C).
        given: labels (B,).
        of_class: T, (C, C).
    """
    of_suggested, suggested = probability.max(dim=1)
    of_given = probability.gather(1, given[:, None])[:, 0]
    return Said(suggested, of_suggested, of_given, (probability * of_class.t()[given]).sum(dim=1))


def transition(suggested: Rows, given: Rows, num_classes: int) -> Floats:
    """Return T, (C, C): rows sum to 1; that of a class that is never suggested is uniform.

    Args:
        suggested: classes (N,).
        given: labels (N,).
        num_classes: C.
    """
    counts = transition_counts(suggested, given, num_classes) + 1 / num_classes
    return counts / counts.sum(axis=1, keepdims=True)


def believed_share(of_given: Floats, by_mistake: Floats) -> float:
    """Return s, the share of T that maximises the likelihood of all given labels.

    Args:
        of_given: p_j, (N,).
        by_mistake: Σ_k p_k T[k, j], (N,).
    """
    more = by_mistake - of_given

    def slope(share: float) -> float:  # derivative of the mean log-likelihood; decreasing
        return float((more / (of_given + share * more + _TINY)).mean())

    if slope(0) <= 0:
        return 0.0
    return 1.0 if slope(1) >= 0 else float(brentq(slope, 0, 1))


def believed(of_class: Floats, share: float) -> Floats:
    """Return Q = (1 - s) I + s T."""
    return (1 - share) * np.eye(len(of_class)) + share * of_class


class Judged(NamedTuple):
    """Posterior probabilities for N examples, float32."""

    confidence: Tensor  # (N,) P(suggested class | picture, given label)
    right: Tensor  # (N,) P(given label is right | picture, given label)
    right_by_all: Tensor  # (N,) the same with s = 1: for the order, see `audit.trust`


def judged(all_said: Said, given: Tensor, of_class: Floats) -> Judged:
    """Return P(class | picture, given label) of suggested and of given classes, (N,) float32.

    Args:
        all_said: of all N examples; s is fitted to them.
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

    For when only the suggestion's probability is known: all the rest is taken to be the given
    label's. If the two are the same class j, the probability is returned as it is. It is a bound,
    for the Q estimated here, if Q[j, j] is the largest entry of its column.

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
