"""Noise that depends on what a classifier confuses (PMD).

Zhang et al., ICLR 2021, "Learning with Feature-Dependent Label Noise: A Progressive Approach".
Each example has its own distribution P(given = j | x_i), from which `noise.corrupt_rows` draws.
Pure NumPy, except `estimate_posterior`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.instance_noise import CHUNK, Rows, check_examples
from datamodules.noise import Labels, check_rate
from datamodules.randomness import numpy_generator
from datamodules.transition_file import normalised_rows

COMPONENTS = 64
COMPONENT_ROWS = 10_000  # enough for the leading components, at a fifth of CIFAR's time and memory
MAX_ITERATIONS = 1000  # CIFAR takes about 30

# d, the margin of the true class over the target -> the flip probability before scaling
FLIPS = {
    1: lambda d: (1 - d**2) / 2,
    2: lambda d: 1 - d**3,
    3: lambda d: 1 - (d**3 + d**2 + d) / 3,
}


def feature_dependent(posterior: Rows, label: Labels, rate: float, kind: int) -> Rows:
    """Return P(given = j | x_i) of poly-margin diminishing (PMD) noise; Zhang et al. 2021.

    Labels flip from the likeliest class u to the second likeliest, s, with a probability that falls
    with the margin d = η_u - η_s of the clean posterior η(x):

    * kind 1: τ = (1 - d²) / 2,
    * kind 2: τ = 1 - d³,
    * kind 3: τ = 1 - (d³ + d² + d) / 3.

    The paper draws new clean labels from η, nearly all of them u. We keep the data set's labels:
    **an example whose label is not u** flips to u, as if the margin were 0, its smallest value. One
    rule covers both cases: the target is the likeliest class other than the label, and
    d = max(0, η_label - η_target). Ties go to the lower class number.

    To reach a rate, the paper multiplies τ by a constant. Here the flip probability is min(1, k τ),
    with k such that its mean over the examples, the expected effective rate, is `rate`. Where η is
    sure of most examples, many of the others always flip: a quarter of the digits for rate 0.4.
    (The released code instead divides 1 - τ by a given number, which also flips examples that η is
    sure of. The exponents above are those of the released code; a draft of the paper has others.)

    Args:
        posterior: clean η, (N, C), rows summing to 1; see `estimate_posterior`.
        label: true classes (N,), in [0, C).
        rate: wanted share of wrong labels, in [0, 1).
        kind: 1, 2 or 3.

    Returns:
        Rows (N, C), each with at most two entries above 0 and summing to 1.

    Raises:
        ValueError: if an argument is impossible, or if too few examples have a τ above 0 to reach
            the rate.
    """
    check_rate(rate)
    if kind not in FLIPS:
        raise ValueError(f"noise_model: PMD noise of kind {kind} is unknown: give 1, 2 or 3.")
    check_examples(posterior, label, posterior.shape[-1])
    confidence = normalised_rows(posterior, "The clean posterior")
    example = np.arange(len(label))
    own = confidence[example, label]
    confidence[example, label] = -1
    target = confidence.argmax(axis=1)
    margin = np.maximum(own - confidence[example, target], 0)
    flip = _scale_to_rate(FLIPS[kind](margin), rate)
    rows = np.zeros_like(confidence)
    rows[example, label] = 1 - flip
    rows[example, target] = flip
    return rows


def estimate_posterior(
    features: npt.NDArray[Any], label: Labels, num_classes: int, seed: int
) -> Rows:
    """Estimate the clean posterior η(x_i) that `feature_dependent` noise is made from.

    The paper trains a ResNet on the clean labels. Ours is quicker and weaker: scikit-learn's
    multinomial logistic regression (L2 penalty, C = 1) on the 64 leading principal components,
    each scaled to variance 1. Like the paper's network, it is fitted on the same examples that it
    then predicts. On one core it takes 8 s for CIFAR-10, where it classifies 39 % of the training
    images correctly, and 22 s for CIFAR-100 (21 %).

    The components are computed from at most 10,000 rows, drawn with the seed; components that are
    only rounding error are left out. Probabilities are neither clipped nor softened. The fit runs
    to convergence, so that another processor's rounding changes η by about 1e-8.

    Args:
        features: (N, S), finite, such as `pixel_features`.
        label: true classes (N,), in [0, C), at least two of which occur.
        num_classes: C.
        seed: the run's seed.

    Returns:
        Probabilities (N, C), float64, rows summing to 1; 0 for classes that do not occur.

    Raises:
        ValueError: if the features or the labels are impossible, or the fit does not converge.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    check_examples(features, label, num_classes)
    if len(np.unique(label)) < 2 or not (features != features[0]).any():
        raise ValueError(
            "noise_model: no classifier can be fitted to examples that are all of one class or all "
            "alike; choose a noise_model that needs none, such as uniform."
        )
    rng = numpy_generator(seed, "posterior")
    sampled = np.sort(rng.permutation(len(features))[:COMPONENT_ROWS])
    pca = PCA(
        min(COMPONENTS, len(sampled), features.shape[1]),
        svd_solver="randomized",
        random_state=int(rng.integers(2**31)),
    ).fit(features[sampled].astype(np.float64))
    scale = np.sqrt(pca.explained_variance_)
    is_kept = scale > 1e-6 * scale[0]
    component = np.concatenate(
        [
            pca.transform(features[begin : begin + CHUNK].astype(np.float64))[:, is_kept]
            / scale[is_kept]
            for begin in range(0, len(features), CHUNK)
        ]
    )
    regression = LogisticRegression(tol=1e-10, max_iter=MAX_ITERATIONS).fit(component, label)
    if regression.n_iter_[0] >= MAX_ITERATIONS:
        raise ValueError(
            "noise_model: the classifier whose confusions make the noise did not converge; choose "
            "a noise_model that needs none, such as uniform."
        )
    rows = np.zeros((len(label), num_classes))
    rows[:, regression.classes_] = regression.predict_proba(component)
    return rows


def _scale_to_rate(tau: Rows, rate: float) -> Rows:
    """Return min(1, k · tau), (N,), with the k for which its mean is the rate."""
    positive = np.sort(tau[tau > 0])
    wanted = rate * len(tau)
    if wanted > len(positive) * (1 + 1e-12):  # 0.07 · 100 is a hair above 7
        most = int(1e4 * len(positive) / len(tau)) / 1e4
        raise ValueError(
            f"noise={rate} cannot be reached: the classifier is certain of all but "
            f"{len(positive)} of {len(tau)} labels, and those never flip; give at most {most}, or "
            "another noise_model."
        )
    if not len(positive):
        return np.zeros_like(tau)
    # If all but the m smallest are cut to 1, those m must sum to the rest of `wanted`, which gives
    # k. That is consistent if k leaves those m at most 1; the largest such m is the solution.
    cut = np.arange(len(positive))[::-1]
    factor = (min(wanted, len(positive)) - cut) / np.cumsum(positive)
    holds = np.flatnonzero(factor * positive <= 1)
    flip: Rows = np.minimum(1, factor[holds[-1]] * tau)
    return flip
