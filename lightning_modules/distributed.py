"""Means and sums over the ranks that decide together; the identity where a rank decides alone."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, distributed


def is_distributed() -> bool:
    """Return whether this process is one of several ranks."""
    return distributed.is_available() and distributed.is_initialized()


class Ranks(ABC):
    """The ranks that decide together on example weights and label mixes; `size` is their number."""

    size: int

    @abstractmethod
    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean over ranks of each tensor."""

    @abstractmethod
    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over ranks."""


class SingleRank(Ranks):
    """One rank that decides for itself: a single process, or `meta.scope=replica`."""

    size = 1

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors themselves."""
        return list(tensors)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself."""
        return tensor


class AllRanks(Ranks):
    """Every rank of the default process group. Results carry no gradient."""

    def __init__(self) -> None:
        self.size = distributed.get_world_size()

    def mean(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the mean over ranks of each tensor, by a single all-reduce."""
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in tensors])
        return [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over ranks."""
        total = tensor.detach().clone()
        distributed.all_reduce(total)
        return total


def deciding_ranks(scope: str) -> Ranks:
    """Return the ranks that decide together: all for `global`, each by itself for `replica`."""
    return AllRanks() if scope == "global" and is_distributed() else SingleRank()
