"""Small messages between the ranks of a run, about the run itself.

They go from CPU to CPU, because a step must not wait for its GPU. Without other ranks, each
function returns the process's own value.
"""

from typing import Any, TypeVar

import torch
from torch import distributed

from lightning_modules.distributed import together

T = TypeVar("T")

# The default process group, and the group of these messages that was made for it.
_groups: tuple[Any, Any] = (None, None)


class AgreedError(ValueError):
    """An error, worded for the user, that every rank raises and only rank 0 reports."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.told_by_another = rank() != 0


def rank() -> int:
    """Return this process's rank."""
    return distributed.get_rank() if together() else 0


def largest(*values: int) -> list[int]:
    """Return the maximum of each value over all ranks."""
    if not together():
        return list(values)
    message = torch.tensor(values)
    distributed.all_reduce(message, op=distributed.ReduceOp.MAX, group=_group())
    return [int(value) for value in message]


def total(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a CPU tensor over all ranks."""
    if together():
        value = value.clone()
        distributed.all_reduce(value, group=_group())
    return value


def everyones(value: T) -> list[T]:
    """Return every rank's value, in order of rank; tensors should be on the CPU."""
    if not together():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_group())
    return values


def mine(values: list[T]) -> T:
    """Return this rank's entry of a list that `everyones` returned.

    Raises:
        ValueError: if there was a different number of ranks then.
    """
    ranks = distributed.get_world_size() if together() else 1
    if len(values) != ranks:
        raise ValueError(
            f"The checkpoint is of {len(values)} ranks, and there are {ranks} now: go on with "
            "trainer.devices and trainer.num_nodes as they were, or give another run_dir."
        )
    return values[rank()]


def _group() -> Any:
    global _groups
    default = distributed.group.WORLD
    if _groups[0] is not default:
        gloo = distributed.get_backend() == "gloo"
        _groups = default, default if gloo else distributed.new_group(backend="gloo")
    return _groups[1]
