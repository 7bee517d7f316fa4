"""The random draws for the views of a batch, kept apart from applying them.

Every function draws on the CPU, a fixed number of times in a fixed order, whatever the images
show. So the draws are a function of the generator alone, a test can supply its own, and reading
them does not synchronise with the device (reference 1.6, 1.7).
"""

from functools import cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

from datamodules.policies import CIFAR, IDENTITY, OPERATIONS, RANDAUGMENT_OPERATIONS, PolicySet

_Draws = TypeVar("_Draws", bound=tuple[Any, ...])


class BatchShard(NamedTuple):
    """Which of the equal parts of the global batch this rank has.

    Draws are made for the global batch and then split, so an example's views do not depend on the
    number of ranks.
    """

    rank: int = 0
    world_size: int = 1

    def take(self, draws: _Draws) -> _Draws:
        """Return this rank's part of draws for the global batch, whose parts are in rank order."""
        return type(draws)(*(self._part(field) for field in draws))

    def _part(self, field: Any) -> Any:
        if isinstance(field, Tensor):
            return field.chunk(self.world_size)[self.rank]
        return None if field is None else self.take(field)


WHOLE_BATCH = BatchShard()


class CropDraws(NamedTuple):
    """The offset of a crop window in its padded image, and whether it is mirrored."""

    top: Tensor  # (B,) int64 from 0
    left: Tensor  # (B,) int64 from 0
    flip: Tensor  # (B,) bool


class HoleDraws(NamedTuple):
    """The centre of a square hole."""

    row: Tensor  # (B,) int64 in [0, H)
    column: Tensor  # (B,) int64 in [0, W)


class PolicyDraws(NamedTuple):
    """Two operations for each example, to be applied one after the other."""

    operation: Tensor  # (B, 2) int64 index into the set's operations, or IDENTITY
    level: Tensor  # (B, 2) int64 in [0, 10]
    negative: Tensor  # (B, 2) bool, the sign of operations that have one
    row: Tensor  # (B, 2) int64 in [0, H), centre of the hole of a Cutout
    column: Tensor  # (B, 2) int64 in [0, W)


class StrongDraws(NamedTuple):
    """All draws for the strong views of a batch."""

    policy: PolicyDraws | None
    crop: CropDraws
    hole: HoleDraws | None


class _PolicyTable(NamedTuple):
    """The policies of a set as tensors, each (number of policies, 2)."""

    operation: Tensor
    chance: Tensor
    level: Tensor


_RANDAUGMENT = torch.tensor([OPERATIONS.index(name) for name in RANDAUGMENT_OPERATIONS])


@cache
def _policy_table(policy_set: PolicySet) -> _PolicyTable:
    index_of = {name: index for index, name in enumerate(policy_set.operations)}
    policies = policy_set.policies
    return _PolicyTable(
        torch.tensor([[index_of[name] for name, _, _ in policy] for policy in policies]),
        torch.tensor([[chance for _, chance, _ in policy] for policy in policies]),
        torch.tensor([[level for _, _, level in policy] for policy in policies]),
    )


def _random_bools(generator: Generator, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float32, generator=generator) < 0.5


def _random_integers(generator: Generator, stop: int, *shape: int) -> Tensor:
    return torch.randint(stop, shape, generator=generator)


def draw_crop(
    generator: Generator, count: int, rows: int, columns: int, *, flip: bool = True
) -> CropDraws:
    """Draw a crop window for each example, with all offsets equally likely.

    Args:
        generator: a CPU generator.
        count: B.
        rows: number of possible offsets from the top.
        columns: number of possible offsets from the left.
        flip: whether half of the windows are mirrored; the generator advances either way.
    """
    top = _random_integers(generator, rows, count)
    left = _random_integers(generator, columns, count)
    return CropDraws(top, left, _random_bools(generator, count) & flip)


def draw_hole(generator: Generator, count: int, height: int, width: int) -> HoleDraws:
    """Draw the centre of a hole for each example, with all pixels equally likely."""
    return HoleDraws(
        _random_integers(generator, height, count), _random_integers(generator, width, count)
    )


def _draw_details(
    generator: Generator, operation: Tensor, chance: Tensor, level: Tensor, height: int, width: int
) -> PolicyDraws:
    applied = torch.rand(operation.shape, dtype=torch.float32, generator=generator) < chance
    return PolicyDraws(
        operation=torch.where(applied, operation, IDENTITY),
        level=level,
        negative=_random_bools(generator, *operation.shape),
        row=_random_integers(generator, height, *operation.shape),
        column=_random_integers(generator, width, *operation.shape),
    )


def draw_autoaugment(
    generator: Generator, count: int, height: int, width: int, policy_set: PolicySet = CIFAR
) -> PolicyDraws:
    """Draw one of the set's policies for each example, and which of its operations are applied."""
    policy = _random_integers(generator, len(policy_set.policies), count)
    operation, chance, level = (field[policy] for field in _policy_table(policy_set))
    return _draw_details(generator, operation, chance, level, height, width)


def draw_randaugment(
    generator: Generator, count: int, height: int, width: int, *, per_example: bool
) -> PolicyDraws:
    """Draw two of 14 operations, with replacement, each with a level from 1 to 9.

    Args:
        generator: a CPU generator.
        count: B.
        height: of the images.
        width: of the images.
        per_example: whether each example has its own two operations and levels; the reference draws
            them once for the whole batch. Either way, each example draws for each operation its
            sign and, with probability 1/2, whether it is applied.
    """
    groups = count if per_example else 1
    operation = _RANDAUGMENT[_random_integers(generator, len(_RANDAUGMENT), groups, 2)].expand(
        count, 2
    )
    level = (1 + _random_integers(generator, 9, groups, 2)).expand(count, 2)
    return _draw_details(generator, operation, torch.tensor(0.5), level, height, width)
