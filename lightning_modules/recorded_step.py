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
WARM_UP_STEPS = 3

StepFunction = Callable[..., Objective]


class Recorder(Protocol):
    """Records and replays a function: a CUDA graph, or a stand-in for one in a test."""

    def warm_up(self, function: Callable[[], Objective]) -> Objective:
        """Run the function in the way required before a recording."""

    def record(self, function: Callable[[], Objective]) -> Objective:
        """Record the function without running it; each replay fills the tensors it returns."""

    def replay(self) -> None:
        """Run what was recorded, on the very tensors it was recorded with."""


class CudaGraph:
    """Records by `torch.cuda.graph`."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        # one for all warm-ups: what one of them frees is only for its own stream to use again
        self._side_stream = torch.cuda.Stream()

    def warm_up(self, function: Callable[[], Objective]) -> Objective:
        """Run the function on a side stream, because the default stream cannot be recorded."""
        current_stream = torch.cuda.current_stream()
        self._side_stream.wait_stream(current_stream)
        with torch.cuda.stream(self._side_stream):
            output = function()
        current_stream.wait_stream(self._side_stream)
        return output

    def record(self, function: Callable[[], Objective]) -> Objective:
        """Record the function; its memory stays reserved."""
        # by default no other thread may call CUDA meanwhile, but the loader's pins memory
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            return function()

    def replay(self) -> None:
        """Launch all kernels by one call."""
        self._graph.replay()


class RecordedStep:
    """A function that leaves gradients in parameters: recorded at its fourth call, then replayed.

    A recording knows tensors but no Python: whatever changes from call to call must be an argument,
    or a tensor that is changed in place.

    Args:
        function: maps tensors on the device, alone or in tuples, to an objective without a graph.
        parameters: those that it leaves gradients in.
        make_recorder: makes the recorder, at the first call.
    """

    def __init__(
        self,
        function: StepFunction,
        parameters: Iterable[nn.Parameter],
        make_recorder: Callable[[], Recorder] = CudaGraph,
    ) -> None:
        self._function = function
        self._parameters = list(parameters)
        self._make_recorder = make_recorder
        self._recorder: Recorder | None = None
        self._calls = 0
        # what the recording reads, and what it writes to
        self._static_inputs: tuple[Any, ...] = ()
        self._static_output: Objective | None = None
        self._static_gradients: list[Tensor | None] = []

    def __call__(self, *inputs: Any) -> Objective:
        """Run or replay the function; the inputs must have the same shapes at every call."""
        if self._recorder is None:
            self._recorder = self._make_recorder()
        self._calls += 1
        if self._calls <= WARM_UP_STEPS:
            return self._recorder.warm_up(lambda: self._function(*inputs))
        if self._static_output is None:
            self._static_inputs = apply_to_collection(inputs, Tensor, torch.clone)
            self._static_output = self._recorder.record(
                lambda: self._function(*self._static_inputs)
            )
            self._static_gradients = [parameter.grad for parameter in self._parameters]
        apply_to_collections(self._static_inputs, inputs, Tensor, _copy_into)
        self._recorder.replay()
        for parameter, gradient in zip(self._parameters, self._static_gradients, strict=True):
            parameter.grad = gradient
        # copied, because the next replay overwrites it
        output: Objective = apply_to_collection(self._static_output, Tensor, torch.clone)
        return output


def _copy_into(static: Tensor, value: Tensor) -> None:
    assert static.shape == value.shape  # `copy_` would broadcast
    static.copy_(value)
