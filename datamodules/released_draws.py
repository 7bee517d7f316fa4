"""Probe set and noise exactly as the released TensorFlow code draws them.

Source: reference 1.1 to 1.4. NumPy's global generator draws everything but the asymmetric flips,
which have their own; the latest release seeds both with its flag `seed`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from datamodules.noise import Labels, asymmetric

RELEASED_MODELS = ("uniform", "asymmetric")


class ReleasedDraws(NamedTuple):
    """What was drawn, in rows of the data set's own training list."""

    train_rows: Labels  # (N,) ascending
    given: Labels  # (N,) given labels
    probe_rows: Labels  # (M,) classes interleaved


def released_draws(
    label: Labels,
    noise_model: str,
    rate: float,
    *,
    probe_per_class: int,
    flips: Mapping[int, int],
    seed: int,
    flip_seed: int | None = None,
) -> ReleasedDraws:
    """Shuffle, take out the probe set, and corrupt the rest, in the released code's call order.

    Args:
        label: clean labels (N,); every class in [0, C) occurs.
        noise_model: `uniform` or `asymmetric`.
        rate: nominal noise rate.
        probe_per_class: trusted examples of each class.
        flips: true class → given class, under asymmetric noise.
        seed: of both generators, below 2^32.
        flip_seed: of the flips' generator, if it has another seed.
    """
    rng = np.random.RandomState(seed)  # the kind that the released code uses
    count, num_classes = len(label), int(label.max()) + 1
    order = np.arange(count)
    rng.shuffle(order)
    shuffled = label[order]
    chosen = [
        rng.choice(np.flatnonzero(shuffled == true), probe_per_class, replace=False)
        for true in range(num_classes if probe_per_class else 0)
    ]
    probe = np.stack(chosen, axis=1).ravel() if chosen else np.empty(0, dtype=np.int64)
    train = np.setdiff1d(np.arange(count), probe)
    given = shuffled[train].copy()
    if noise_model == "uniform":
        redrawn = rng.rand(len(given)) <= rate
        given[redrawn] = rng.randint(0, num_classes, redrawn.sum())
    else:
        flips_rng = np.random.RandomState(seed if flip_seed is None else flip_seed)
        transition = asymmetric(num_classes, rate, flips)
        for index, true in enumerate(given):
            given[index] = flips_rng.multinomial(1, transition[true]).argmax()
    ascending = np.argsort(order[train])
    return ReleasedDraws(order[train][ascending], given[ascending], order[probe])
