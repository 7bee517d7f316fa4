"""Which examples a step sees: a pure function of (seed, step, rank), so nothing has to be saved.

The reference repeats its data before it batches them (reference 1.6): batches straddle epochs and
nothing is dropped. Its probe set is never shuffled; it is repeated in order (reference 1.4).
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset, Sampler

from datamodules.batch import Batch
from datamodules.images import BatchPosition
from datamodules.labelled_images import LabelledImages
from datamodules.randomness import numpy_generator

Rows = npt.NDArray[np.int64]


class EndlessOrder:
    """An endless sequence of epochs, cut into global batches, and each batch into ranks' slices.

    Args:
        size: examples in the data set.
        batch_size: over all ranks.
        seed: the run's seed.
        purpose: what the order is for; different purposes are shuffled independently.
        shuffle: whether each epoch is a fresh permutation, or the fixed order 0, 1, ..., size - 1.
        rank: which slice of the global batch `rows` returns.
        world_size: the number of ranks.

    Raises:
        ValueError: if the batch cannot be divided equally over the ranks.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        seed: int,
        purpose: str,
        shuffle: bool,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % world_size:
            raise ValueError(
                f"batch_size={batch_size} is over all devices and cannot be divided equally over "
                f"{world_size}: give a multiple of {world_size}."
            )
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.purpose = purpose
        self.shuffle = shuffle
        self.rank = rank
        self.local_size = batch_size // world_size
        self._permutations: dict[int, Rows] = {}

    def rows(self, step: int) -> Rows:
        """Return this rank's rows of the batch of a step, (batch_size / world_size,)."""
        start = step * self.batch_size + self.rank * self.local_size
        epoch, position = np.divmod(np.arange(start, start + self.local_size), self.size)
        if not self.shuffle:
            return position
        cached = self._permutations
        self._permutations = {
            number: cached[number] if number in cached else self._permutation(number)
            for number in range(epoch[0], epoch[-1] + 1)
        }
        return np.concatenate(
            [order[position[epoch == number]] for number, order in self._permutations.items()]
        )

    def _permutation(self, epoch: int) -> Rows:
        return numpy_generator(self.seed, self.purpose, epoch).permutation(self.size)


class ExampleStream(NamedTuple):
    """Examples, and the order in which steps see them.

    Args:
        examples: the examples.
        order: which of them each step sees.
        purpose: of the draws about their images; see `BatchPosition`.
        windows: number of windows to draw of each image, where images have windows.
    """

    examples: LabelledImages
    order: EndlessOrder
    purpose: str = "train"
    windows: int = 1

    def batch(self, step: int) -> Batch:
        """Return this rank's examples of a step."""
        offset = self.order.rank * self.order.local_size
        position = BatchPosition(self.purpose, step, offset, self.windows)
        return self.examples.for_training(self.order.rows(step), position)


class StepBatches(NamedTuple):
    """What the loader yields for one training step."""

    train: Batch  # noisy labels
    probe: Batch | None  # trusted labels; None if not needed


class TrainingSteps(Dataset[StepBatches]):
    """The training data as a data set of steps: item s is what step s sees.

    Args:
        train: the noisy examples.
        probe: the trusted ones, or None.
    """

    def __init__(self, train: ExampleStream, probe: ExampleStream | None) -> None:
        self.train = train
        self.probe = probe

    def __getitem__(self, step: int) -> StepBatches:
        """Return this rank's share of the data of a step."""
        return StepBatches(self.train.batch(step), self.probe.batch(step) if self.probe else None)


class StepSampler(Sampler[int]):
    """Yield s, s + 1, ... without end.

    Args:
        first_step: returns s; called whenever an iteration begins, so that a resumed run continues
            where it stopped.
    """

    def __init__(self, first_step: Callable[[], int]) -> None:
        self.first_step = first_step

    def __iter__(self) -> Iterator[int]:
        return count(self.first_step())


def shard_batches(size: int, batch_size: int, rank: int, world_size: int) -> list[Rows]:
    """Return the evaluation batches of one rank.

    Over all ranks each example occurs exactly once, none is padded or dropped, and every rank has
    the same number of batches. No batch is empty unless there are fewer examples than ranks; to
    ensure that, a batch may hold two examples where `batch_size` is 1.

    Args:
        size: examples in the data set.
        batch_size: the most examples in a batch; batches are made as even as possible.
        rank: the rank whose batches to return.
        world_size: the number of ranks.
    """
    shards = np.array_split(np.arange(size), world_size)
    needed = -(-len(shards[0]) // batch_size)
    return np.array_split(shards[rank], max(1, min(needed, len(shards[-1]))))
