"""Noise models that are a transition matrix T[i, j] = P(given = j | true = i).

Pure NumPy. Uniform and asymmetric noise follow the reference code of IEG (Zhang et al., CVPR 2020);
the digit and CIFAR-100 flips follow Patrini et al. (CVPR 2017), "Making Deep Neural Networks Robust
to Label Noise". Noise that depends on the image is in `instance_noise` and `feature_noise`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from datamodules.config_checks import is_number

Labels = npt.NDArray[np.int64]
Transition = npt.NDArray[np.float64]

# truck -> automobile, bird -> aeroplane, cat <-> dog, deer -> horse
CIFAR10_FLIPS: Mapping[int, int] = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}

# look-alikes: 2 -> 7, 3 -> 8, 5 <-> 6, 7 -> 1 (Patrini et al. on MNIST)
DIGIT_FLIPS: Mapping[int, int] = {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}


def check_rate(rate: object) -> None:
    """Raise a ValueError unless `rate` is a number in [0, 1)."""
    if not is_number(rate) or not 0 <= rate < 1:
        raise ValueError(
            f"noise={rate} is not a rate: give a number from 0 up to, but not including, 1."
        )


def uniform(num_classes: int, rate: float) -> Transition:
    """Return T = (1 - r)·I + r/C, also called symmetric noise; shape (C, C).

    With probability r a label is redrawn from *all* classes, its own included, so the effective
    rate is r(1 - 1/C): 0.72 for r = 0.8 and 10 classes. This is the convention of IEG, DivideMix,
    ELR and MW-Net; `uniform_other` is the other one.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    return (1 - rate) * np.eye(num_classes) + rate / num_classes


def uniform_other(num_classes: int, rate: float) -> Transition:
    """Return T with 1 - r on the diagonal and r/(C - 1) elsewhere; shape (C, C).

    With probability r a label is redrawn from the *other* classes, so the effective rate is r. This
    is the symmetric noise of Co-teaching (Han et al., NeurIPS 2018), PLC and noisypy. At
    r = 1 - 1/C, which is 0.9 for 10 classes, all given labels are equally likely: they carry no
    information. Above it the right class is the least likely one.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    transition = np.full((num_classes, num_classes), rate / (num_classes - 1))
    np.fill_diagonal(transition, 1 - rate)
    return transition


def asymmetric(num_classes: int, rate: float, pairs: Mapping[int, int]) -> Transition:
    """Return the matrix of asymmetric noise, shape (C, C).

    An example of class `source` is given class `pairs[source]` with probability `rate`. Other
    classes stay clean: the effective rate is `rate` times the share of examples of sources.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    check_rate(rate)
    transition = np.eye(num_classes)
    for source, target in pairs.items():
        transition[source, source] -= rate
        transition[source, target] += rate
    return transition


def pair_flip(num_classes: int, rate: float) -> Transition:
    """Return the matrix, (C, C), that flips class i to class i + 1, and the last one to the first.

    This is the pair flipping of Han et al. (NeurIPS 2018), "Co-teaching"; the effective rate is
    `rate`.

    Raises:
        ValueError: if the rate is not in [0, 1).
    """
    return asymmetric(
        num_classes, rate, {true: (true + 1) % num_classes for true in range(num_classes)}
    )


def next_in_superclass(coarse_of_fine: Sequence[int]) -> dict[int, int]:
    """Map each class to the next one of its superclass, the last to the first.

    Args:
        coarse_of_fine: the superclass of each class, length C.
    """
    members: dict[int, list[int]] = {}
    for fine, coarse in enumerate(coarse_of_fine):
        members.setdefault(coarse, []).append(fine)
    return {
        source: target
        for group in members.values()
        for source, target in zip(group, group[1:] + group[:1], strict=True)
    }


def rows_by_class(label: Labels, num_classes: int) -> list[Labels]:
    """Return the rows of each of C classes, in ascending order; other labels are left out.

    One sort replaces one pass over the labels for each class.
    """
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label, np.arange(num_classes + 1), sorter=order)
    return np.split(order, starts)[1:-1]


def corrupt(label: Labels, transition: Transition, rng: np.random.Generator) -> Labels:
    """Draw the given labels, independently of one another.

    Args:
        label: clean labels (N,), in [0, C).
        transition: T, (C, C), rows summing to 1.
        rng: draws one uniform number per example, in the examples' order.

    Returns:
        The given labels (N,).
    """
    draw = rng.random(len(label))
    cumulative = np.cumsum(transition, axis=1)
    # Rounding must not leave a gap below 1, through which a class of probability 0 could be drawn.
    cumulative /= cumulative[:, -1:]
    given = np.empty_like(label)
    for rows, edges in zip(rows_by_class(label, len(cumulative)), cumulative, strict=True):
        given[rows] = np.searchsorted(edges, draw[rows], side="right")
    return given


def corrupt_rows(rows: npt.NDArray[np.float64], rng: np.random.Generator) -> Labels:
    """Draw the given labels where each example has its own distribution.

    `corrupt_rows(transition[label], rng)` draws what `corrupt(label, transition, rng)` does.

    Args:
        rows: P(given = j | example i), (N, C), rows summing to 1.
        rng: draws one uniform number per example, in the examples' order.

    Returns:
        The given labels (N,).
    """
    draw = rng.random(len(rows))
    cumulative = np.cumsum(rows, axis=1)
    cumulative /= cumulative[:, -1:]  # as in `corrupt`
    given: Labels = (cumulative <= draw[:, None]).sum(axis=1, dtype=np.int64)
    return given


def transition_counts(clean: Labels, given: Labels, num_classes: int) -> Labels:
    """Count the examples of each (true, given) pair of classes; shape (C, C)."""
    pair = clean * num_classes + given
    return np.bincount(pair, minlength=num_classes**2).reshape(num_classes, num_classes)


def effective_rate(clean: Labels, given: Labels) -> float:
    """Return the share of labels that are wrong."""
    return float(np.mean(clean != given))
