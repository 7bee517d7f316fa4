"""How sure a suggestion is: what the picture says, and what the label says that it came with.

A network's probability of a class knows nothing of how often labels of that class are given as the
label at hand. By Bayes' rule, with p the network's probabilities and T[k, j] the share of class k's
examples that are given label j,

    P(class k | picture, given label j) = p_k T[k, j] / Σ_i p_i T[i, j]

T is estimated by the classes that the network suggests. So a suggestion counts for little where
such mistakes are rare, and where no label is wrong hardly any is replaced.
"""

import numpy as np
from torch import Tensor

from audit.record import Floats, Rows
from datamodules.noise import transition_counts


def transition(suggested: Rows, given: Rows, num_classes: int) -> Floats:
    """Return T, (C, C): rows sum to 1; a row of no examples is the same for all labels.

    Args:
        suggested: classes (N,).
        given: labels (N,).
        num_classes: C.
    """
    counts = transition_counts(suggested, given, num_classes) + 1 / num_classes
    return counts / counts.sum(axis=1, keepdims=True)


def posterior(probability: Tensor, given: Tensor, of_class: Tensor) -> Tensor:
    """Return P(class | picture, given label), (B, C).

    Args:
        probability: the network's, (B, C).
        given: labels (B,).
        of_class: T, (C, C).
    """
    joint = probability * of_class.t()[given]
    return joint / joint.sum(dim=1, keepdim=True)


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
    ours = probability * of_class[suggested, given]
    theirs = (1 - probability) * of_class[given, given]
    return np.where(suggested == given, probability, ours / np.maximum(ours + theirs, 1e-12))
