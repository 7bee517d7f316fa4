"""Noise that depends on the image: each example has its own distribution P(given = j | x_i).

Random projections of the pixels: Xia et al., NeurIPS 2020, "Part-dependent Label Noise". Pure
NumPy. `noise.corrupt_rows` draws labels from these rows; `feature_noise` has another such family.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.noise import Labels, check_rate

Rows = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]

FLIP_RATE_SPREAD = 0.1  # standard deviation of the flip rates
CHUNK = 4096  # examples processed at a time


def pixel_features(image: npt.NDArray[np.uint8]) -> Features:
    """Return the pixels as they are, 0 to 255, one row per image.

    The paper's own generator of `instance_dependent` noise uses these; others use pixels in [0, 1]
    or standardised ones.

    Args:
        image: (N, 3, H, W), uint8.

    Returns:
        Features (N, 3·H·W), float32.

    Raises:
        ValueError: if the images have another type or number of axes.
    """
    if image.dtype != np.uint8 or image.ndim != 4:
        raise ValueError(
            f"Images are {image.dtype} of shape {image.shape}: give uint8 of shape (N, 3, H, W)."
        )
    return image.reshape(len(image), -1).astype(np.float32)


def instance_dependent(
    features: Features, label: Labels, num_classes: int, rate: float, rng: np.random.Generator
) -> Rows:
    """Return P(given = j | x_i) of instance-dependent noise; Xia et al. 2020.

    Example i is mislabelled with probability q_i, drawn from the normal distribution N(rate, 0.1²)
    cut to [0, 1]. Its wrong label is class j with a probability proportional to exp(x_i · w_j),
    where the w_j are drawn from N(0, 1), anew for each true class.

    The mean of q_i is the effective rate. The cut moves it from `rate` towards ½: to 0.21 for 0.2,
    0.13 for 0.1, 0.08 for a rate near 0. At exactly 0 all labels stay right.

    On pixels, the exponentials leave each example practically one wrong class. Raw pixels
    (`pixel_features`) have their brightness in common, so that on CIFAR-10 about two thirds of a
    class go to the same wrong class; with standardised pixels it is a quarter.

    Args:
        features: (N, S), finite.
        label: true classes (N,), in [0, C).
        num_classes: C, at least 2.
        rate: centre of the flip rates, in [0, 1).
        rng: draws the flip rates in the examples' order, then S·C numbers for each class.

    Returns:
        Rows (N, C), each summing to 1.

    Raises:
        ValueError: if the rate, the features or the labels are impossible.
    """
    check_rate(rate)
    check_examples(features, label, num_classes)
    flip_rate = _flip_rates(len(label), rate, rng)
    rows = np.empty((len(label), num_classes))
    for true in range(num_classes):
        weight = rng.standard_normal((features.shape[1], num_classes))
        members = np.flatnonzero(label == true)
        for begin in range(0, len(members), CHUNK):
            chunk = members[begin : begin + CHUNK]
            # In float32 the scores, thousands on raw pixels, would differ between processors.
            score = features[chunk].astype(np.float64) @ weight
            score[:, true] = -np.inf
            wrong = np.exp(score - score.max(axis=1, keepdims=True))
            wrong *= (flip_rate[chunk] / wrong.sum(axis=1))[:, None]
            wrong[:, true] = 1 - flip_rate[chunk]
            rows[chunk] = wrong
    return rows


def check_examples(features: npt.NDArray[Any], label: Labels, num_classes: int) -> None:
    """Raise a ValueError unless features (N, S) and labels (N,) in [0, C) go together."""
    if features.ndim != 2 or label.shape != features.shape[:1]:
        raise ValueError(
            f"Features of shape {features.shape} do not go with labels of shape {label.shape}: "
            "give (N, S) and (N,)."
        )
    if num_classes < 2:
        raise ValueError(f"Noise needs at least 2 classes, not {num_classes}.")
    if label.size and not 0 <= label.min() <= label.max() < num_classes:
        raise ValueError(
            f"Labels go from {label.min()} to {label.max()}: give 0 to {num_classes - 1}."
        )
    for begin in range(0, len(features), CHUNK):
        if not np.isfinite(features[begin : begin + CHUNK]).all():
            raise ValueError("Features hold numbers that are not finite: take them out.")


def _flip_rates(count: int, rate: float, rng: np.random.Generator) -> Rows:
    """Draw from N(rate, 0.1²) cut to [0, 1]; (count,)."""
    if rate == 0:
        return np.zeros(count)
    flip_rate = rng.normal(rate, FLIP_RATE_SPREAD, count)
    while len(outside := np.flatnonzero((flip_rate < 0) | (flip_rate > 1))):
        flip_rate[outside] = rng.normal(rate, FLIP_RATE_SPREAD, len(outside))
    return flip_rate
