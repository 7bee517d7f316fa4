"""A step's gradient, recorded once as a CUDA graph and from then on replayed without Python.

A step of a small network is thousands of short kernels. Launched one by one, they leave a GPU idle:
each is done before Python launches the next.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from lightning_utilities.core.apply_func import apply_to_collection, apply_to_collections
from torch import Tensor, nn

from lightning_modules.objective import Objective

# Steps before the recording, in which libraries set themselves up; the first has no momentum yet.
WARM_UP = 3

Work = Callable[..., Objective]


class Recorder(Protocol):
    """Records and replays work: a CUDA graph, or a stand-in for one in a test."""

    def warm_up(self, work: Callable[[], Objective]) -> Objective:
        """Run the work in the way required before a recording."""

    def record(self, work: Callable[[], Objective]) -> Objective:
        """Record the work without running it; each replay fills the tensors it returns."""

    def replay(self) -> None:
        """Run the recorded work, on the very tensors it was recorded with."""


class CudaGraph:
    """Records by `torch.cuda.graph`."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, work: Callable[[], Objective]) -> Objective:
        """Run the work on a side stream, because the default stream cannot be recorded."""
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            found = work()
        here.wait_stream(aside)
        return found

    def record(self, work: Callable[[], Objective]) -> Objective:
        """Record the work; its memory stays reserved."""
        # by default no other thread may call CUDA meanwhile, but the loader's pins memory
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            return work()

    def replay(self) -> None:
        """Launch all kernels by one call."""
        self._graph.replay()


class Repeated:
    """Work that leaves gradients in parameters: recorded at its fourth call, then replayed.

    A recording knows tensors but no Python: whatever changes from call to call must be an argument,
    or a tensor that is changed in place.

    Args:
        work: maps tensors on the device, alone or in tuples, to an objective without a graph.
        parameters: those that it leaves gradients in.
        recorder: makes the recorder, at the first call.
    """

    def __init__(
        self,
        work: Work,
        parameters: Iterable[nn.Parameter],
        recorder: Callable[[], Recorder] = CudaGraph,
    ) -> None:
        self._work = work
        self._parameters = list(parameters)
        self._make = recorder
        self._recorder: Recorder | None = None
        self._calls = 0
        # what the recording reads, and what it writes to
        self._given: tuple[Any, ...] = ()
        self._found: Objective | None = None
        self._gradient: list[Tensor | None] = []

    def __call__(self, *given: Any) -> Objective:
        """Run or replay the work; the arguments must have the same shapes at every call."""
        if self._recorder is None:
            self._recorder = self._make()
        self._calls += 1
        if self._calls <= WARM_UP:
            return self._recorder.warm_up(lambda: self._work(*given))
        if self._found is None:
            self._given = apply_to_collection(given, Tensor, torch.clone)
            self._found = self._recorder.record(lambda: self._work(*self._given))
            self._gradient = [parameter.grad for parameter in self._parameters]
        apply_to_collections(self._given, given, Tensor, _fill)
        self._recorder.replay()
        for parameter, slope in zip(self._parameters, self._gradient, strict=True):
            parameter.grad = slope
        # copied, because the next replay overwrites it
        found: Objective = apply_to_collection(self._found, Tensor, torch.clone)
        return found


def _fill(place: Tensor, value: Tensor) -> None:
    assert place.shape == value.shape  # `copy_` would broadcast
    place.copy_(value)
