"""What the ranks of a run tell one another about the run itself: small messages between CPUs.

Never through a GPU: a step must not wait for it. Alone, a rank hears itself.
"""

from typing import Any, TypeVar

import torch
from torch import distributed

from lightning_modules.distributed import together

T = TypeVar("T")

# The default group these messages belong to, and theirs.
_groups: tuple[Any, Any] = (None, None)


class AgreedError(ValueError):
    """A reason to stop, in a sentence for the user, that every rank has and the first one tells."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.told_by_another = rank() != 0


def rank() -> int:
    """Return this process's place among the ranks."""
    return distributed.get_rank() if together() else 0


def largest(*values: int) -> list[int]:
    """Return the largest of each value over all ranks."""
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
    """Return every rank's value, in order; tensors should lie on the CPU."""
    if not together():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value, group=_group())
    return values


def mine(values: list[T]) -> T:
    """Return this rank's of what `everyones` gave.

    Raises:
        ValueError: if it was of another number of ranks.
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
