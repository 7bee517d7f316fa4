"""Generators that make every random draw a function of the seed and of where it happens.

Nothing here keeps state, so nothing has to be saved: a resumed run draws what an uninterrupted one
would. Draws are made on the CPU and moved to the device, so that they are the same on every kind
of device.
"""

import zlib

import numpy as np
import torch


def _entropy(seed: int, purpose: str, position: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *position])


def numpy_generator(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """Return a generator for draws about the data set, such as noise or the probe.

    Args:
        seed: the run's seed, at least 0.
        purpose: what is drawn, such as `"noise"`; different purposes are independent.
        position: where it is drawn, such as the epoch.
    """
    return np.random.Generator(np.random.PCG64(_entropy(seed, purpose, position)))


def torch_generator(seed: int, purpose: str, *position: int) -> torch.Generator:
    """Return a CPU generator for draws inside a training step; see `numpy_generator`."""
    state = _entropy(seed, purpose, position).generate_state(1, np.uint64)[0]
    # manual_seed takes a signed 64-bit integer
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
