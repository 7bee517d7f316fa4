"""Collectives for small messages between the ranks of a run, about the run itself.

They go from CPU to CPU, because a step must not wait for its GPU. Without other ranks, each
function returns the process's own value.
"""

from typing import Any, TypeVar

import torch
from torch import distributed

from lightning_modules.distributed import is_distributed

T = TypeVar("T")

# The default process group, and the gloo group of these messages that was made for it.
_groups: tuple[Any, Any] = (None, None)


class CollectiveError(ValueError):
    """An error, worded for the user, that every rank raises and only rank 0 reports."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.reported_by_another_rank = rank() != 0


def rank() -> int:
    """Return this process's rank."""
    return distributed.get_rank() if is_distributed() else 0


def all_reduce_max(*values: int) -> list[int]:
    """Return the maximum of each value over all ranks."""
    if not is_distributed():
        return list(values)
    maxima = torch.tensor(values)
    distributed.all_reduce(maxima, op=distributed.ReduceOp.MAX, group=_gloo_group())
    return [int(value) for value in maxima]


def all_reduce_sum(tensor: torch.Tensor) -> torch.Tensor:
    """Return the sum of a CPU tensor over all ranks."""
    if is_distributed():
        tensor = tensor.clone()
        distributed.all_reduce(tensor, group=_gloo_group())
    return tensor


def all_gather_object(value: T) -> list[T]:
    """Return every rank's value, in order of rank; tensors should be on the CPU."""
    if not is_distributed():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_gloo_group())
    return values


def own_entry(values: list[T]) -> T:
    """Return this rank's entry of a list that `all_gather_object` returned.

    Raises:
        ValueError: if there was a different number of ranks then.
    """
    world_size = distributed.get_world_size() if is_distributed() else 1
    if len(values) != world_size:
        raise ValueError(
            f"The checkpoint is of {len(values)} ranks, and there are {world_size} now: go on with "
            "trainer.devices and trainer.num_nodes as they were, or give another run_dir."
        )
    return values[rank()]


def _gloo_group() -> Any:
    global _groups
    default = distributed.group.WORLD
    if _groups[0] is not default:
        is_gloo = distributed.get_backend() == "gloo"
        _groups = default, default if is_gloo else distributed.new_group(backend="gloo")
    return _groups[1]
