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

from audit.record import Floats, Integers
from datamodules.noise import transition_counts

_TINY = 1e-12


class BayesTerms(NamedTuple):
    """What Bayes' rule needs of a network's predictions for N examples with given labels j."""

    suggested: Tensor  # (N,) int64, the likeliest class
    p_suggested: Tensor  # (N,) its probability
    p_given: Tensor  # (N,) p_j, that of the given label
    label_likelihood: Tensor  # (N,) Σ_k p_k T[k, j], likelihood of the given label if Q is T


def bayes_terms(probability: Tensor, given: Tensor, transition_matrix: Tensor) -> BayesTerms:
    """Return what Bayes' rule needs of a batch.

    Args:
        probability: the network's, (B, C).
        given: labels (B,).
        transition_matrix: T, (C, C).
    """
    p_suggested, suggested = probability.max(dim=1)
    p_given = probability.gather(1, given[:, None])[:, 0]
    return BayesTerms(
        suggested, p_suggested, p_given, (probability * transition_matrix.t()[given]).sum(dim=1)
    )


def estimate_transition_matrix(suggested: Integers, given: Integers, num_classes: int) -> Floats:
    """Return T, (C, C): rows sum to 1; that of a class that is never suggested is uniform.

    Args:
        suggested: classes (N,).
        given: labels (N,).
        num_classes: C.
    """
    counts = transition_counts(suggested, given, num_classes) + 1 / num_classes
    return counts / counts.sum(axis=1, keepdims=True)


def fit_transition_share(p_given: Floats, label_likelihood: Floats) -> float:
    """Return s, the share of T that maximises the likelihood of all given labels.

    Args:
        p_given: p_j, (N,).
        label_likelihood: Σ_k p_k T[k, j], (N,).
    """
    difference = label_likelihood - p_given

    def slope(share: float) -> float:  # derivative of the mean log-likelihood; decreasing
        return float((difference / (p_given + share * difference + _TINY)).mean())

    if slope(0) <= 0:
        return 0.0
    return 1.0 if slope(1) >= 0 else float(brentq(slope, 0, 1))


def mix_with_identity(transition_matrix: Floats, share: float) -> Floats:
    """Return Q = (1 - s) I + s T."""
    return (1 - share) * np.eye(len(transition_matrix)) + share * transition_matrix


class LabelPosterior(NamedTuple):
    """Posterior probabilities for N examples, float32."""

    confidence: Tensor  # (N,) P(suggested class | picture, given label)
    p_right: Tensor  # (N,) P(given label is right | picture, given label)
    p_right_full_transition: Tensor  # (N,) the same with s = 1: for the order, see `audit.trust`


def label_posterior(terms: BayesTerms, given: Tensor, transition_matrix: Floats) -> LabelPosterior:
    """Return P(class | picture, given label) of suggested and of given classes, (N,) float32.

    Args:
        terms: of all N examples; s is fitted to them.
        given: their labels (N,).
        transition_matrix: T, (C, C).
    """
    p_given, label_likelihood = (
        terms.p_given.double().numpy(),
        terms.label_likelihood.double().numpy(),
    )
    share = fit_transition_share(p_given, label_likelihood)
    mixed = mix_with_identity(transition_matrix, share)
    evidence = (1 - share) * p_given + share * label_likelihood + _TINY
    given_index, suggested = given.numpy(), terms.suggested.numpy()
    p_right = p_given * mixed[given_index, given_index] / evidence
    confidence = terms.p_suggested.double().numpy() * mixed[suggested, given_index] / evidence
    p_right_full_transition = (
        p_given * transition_matrix[given_index, given_index] / (label_likelihood + _TINY)
    )
    return LabelPosterior(
        *(torch.from_numpy(part).float() for part in (confidence, p_right, p_right_full_transition))
    )


def confidence_lower_bound(
    probability: Floats, suggested: Integers, given: Integers, transition_matrix: Floats
) -> Floats:
    """Return a lower bound of P(suggested class | picture, given label), (N,).

    For when only the suggestion's probability is known: all the rest is taken to be the given
    label's. If the two are the same class j, the probability is returned as it is. It is a bound,
    for the Q estimated here, if Q[j, j] is the largest entry of its column.

    Args:
        probability: of the suggestion, (N,).
        suggested: classes (N,).
        given: labels (N,).
        transition_matrix: T, (C, C).
    """
    agrees, rest = suggested == given, 1 - probability
    others = np.where(agrees, 0.0, rest * transition_matrix[given, given])
    share = fit_transition_share(
        np.where(agrees, probability, rest),
        probability * transition_matrix[suggested, given] + others,
    )
    mixed = mix_with_identity(transition_matrix, share)
    suggested_term = probability * mixed[suggested, given]
    given_term = rest * mixed[given, given]
    return np.where(
        agrees, probability, suggested_term / np.maximum(suggested_term + given_term, _TINY)
    )
