"""Sends the calls of one torch function to another."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode


class ReplacedFunctionMode(TorchFunctionMode):
    """Context in which `replacement` is called in place of a function.

    Args:
        function: torch's, such as `F.conv2d`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    @abstractmethod
    def replacement(self, *args: Any, **kwargs: Any) -> Any:
        """Do what is done instead; the arguments are the function's."""

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        called = self.replacement if func is self._function else func
        return called(*args, **(kwargs or {}))
