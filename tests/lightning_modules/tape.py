"""A recorder that stands for a CUDA graph where there is no GPU.

Like one, it knows operations on tensors and nothing of the Python between them: numbers are as they
were, tensors are the very ones that were there, and recording does nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def _tensors(nest: Any) -> list[Tensor]:
    # zeros of forward mode have no memory, and cannot change
    tensors = [one for one in tree_leaves(nest) if isinstance(one, Tensor)]
    return [one for one in tensors if not one._is_zerotensor()]


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Tape(TorchDispatchMode):
    """Notes every operation while it is entered, and does all of them again at each replay."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self.warmed_up = self.replays = 0
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}  # what was there, and its values

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        assert func != torch.ops.aten.lift_fresh.default, "numbers that come from Python each time"
        given = _tensors((args, kwargs))
        for one in given:
            if _memory(one) not in self._made and _memory(one) not in self._before:
                whole = torch.empty(0, dtype=one.dtype).set_(one.untyped_storage())
                self._before[_memory(one)] = whole, whole.clone()
        found = func(*args, **kwargs)
        made = _tensors(found)
        self.operations.append((func, args, kwargs, made))
        self._made |= {_memory(one) for one in made} - self._before.keys()
        return found

    def warm_up(self, function: Callable[[], Any]) -> Any:
        self.warmed_up += 1
        return function()

    @torch.no_grad()
    def record(self, function: Callable[[], Any]) -> Any:
        with self, torch.enable_grad():
            found = function()
        # who reads before a replay reads this
        for _, _, _, made in self.operations:
            for one in made:
                if one.is_floating_point() and _memory(one) in self._made:
                    one.fill_(torch.nan)
        for place, value in self._before.values():
            place.copy_(value)
        return found

    @torch.no_grad()
    def replay(self) -> None:
        self.replays += 1
        for func, args, kwargs, made in self.operations:
            again = _tensors(func(*args, **kwargs))
            for place, value in zip(made, again, strict=True):
                if place.data_ptr() != value.data_ptr():
                    place.copy_(value)
