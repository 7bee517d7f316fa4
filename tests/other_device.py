"""A device that computes as the CPU does but is another one: it stands for a GPU.

As with a GPU, its tensors cannot be mixed with the CPU's nor become NumPy arrays, and what is saved
of them is loaded onto the CPU. It claims torch's device type for others' hardware for the whole
process, so a process that imports this module should do nothing else.

    python -m tests.other_device other|cpu <settings> [-- <settings> ...]

does what `train.py` does with each of these settings, on that device or on the CPU.
"""

import sys
from contextlib import nullcontext
from itertools import groupby
from typing import Any
from unittest import mock

import torch
from hydra.utils import get_method
from pytorch_lightning.accelerators import Accelerator, AcceleratorRegistry
from pytorch_lightning.strategies import SingleDeviceStrategy, StrategyRegistry
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

from runs.check import check_settings
from runs.modes import MODES
from tests.compose import settings

# Operations that may take a tensor of each device.
_COPIES = ("_to_copy", "copy_")


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend("other", backend_module=_Module())
# otherwise `torch.tensor(…, device=…)` would not be seen here
torch._C._set_only_lift_cpu_tensors(True)

OTHER = torch.device("other:0")


class OtherTensor(Tensor):
    """A tensor on the other device; its numbers are in a tensor on the CPU."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> "OtherTensor":
        with torch.inference_mode(False):  # the numbers know of it
            made: OtherTensor = Tensor._make_wrapper_subclass(
                cls,
                numbers.shape,
                strides=numbers.stride(),
                storage_offset=numbers.storage_offset(),
                dtype=numbers.dtype,
                device=OTHER,
            )
        made.numbers = numbers
        return made

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})

    # Without these two, a module's parameters would be replaced when it moves, and not moved.
    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["numbers"], None

    @staticmethod
    def __tensor_unflatten__(parts: dict[str, Tensor], *_: Any) -> "OtherTensor":
        return OtherTensor(parts["numbers"])

    def __repr__(self, **_: Any) -> str:
        return f"OtherTensor({self.numbers})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.detach().numbers.__reduce_ex__(protocol)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("a tensor on another device cannot become an array: copy it to the CPU")

    __array__ = numpy


class OtherDevice(TorchDispatchMode):
    """Context in which tensors can be made on the other device and moved there."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _compute(func, args, kwargs or {})


def _compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    with OtherDevice():  # in inference mode, operations arrive before they are taken apart
        found = func.decompose(*args, **kwargs)
    if found is not NotImplemented:
        return found
    name = func._schema.name.partition("::")[2]
    if name == "_efficientzerotensor":  # it has no numbers
        func = torch.ops.aten.zeros.default
    tensors = [one for one in pytree.tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    moved = [isinstance(one, OtherTensor) for one in tensors]
    if any(moved) and name not in _COPIES:
        left = [tuple(one.shape) for one, on in zip(tensors, moved, strict=True) if not on]
        # as on a GPU, a single number may stay on the CPU
        assert not any(left), f"{func} of tensors on two devices; on the CPU, of shapes {left}"
    device = kwargs.get("device")
    to_other = any(moved) if device is None else torch.device(device).type == OTHER.type
    if device is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    args_on_cpu, kwargs_on_cpu = pytree.tree_map_only(
        OtherTensor, lambda one: one.numbers, (args, kwargs)
    )
    found = func(*args_on_cpu, **kwargs_on_cpu)
    if name == "copy_":
        return args[0]
    if not to_other or not any(isinstance(one, Tensor) for one in pytree.tree_leaves(found)):
        return found
    found = pytree.tree_map_only(Tensor, OtherTensor, found)
    return return_and_correct_aliasing(func, args, kwargs, found)


class _Accelerator(Accelerator):
    def setup_device(self, device: torch.device) -> None:
        assert device == OTHER

    def get_device_stats(self, device: Any) -> dict[str, Any]:
        return {}

    def teardown(self) -> None:
        pass

    @staticmethod
    def parse_devices(devices: Any) -> list[int]:
        return [0]

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [OTHER]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "other"


DEVICES = {
    "other": (("trainer.accelerator=other", "trainer.strategy=other"), OtherDevice),
    "cpu": (("trainer.accelerator=cpu",), nullcontext),
}


def main() -> None:
    """Run the jobs named on the command line."""
    AcceleratorRegistry.register("other", _Accelerator)
    StrategyRegistry.register("other", SingleDeviceStrategy, device=OTHER)
    trainer_settings, context = DEVICES[sys.argv[1]]
    for is_separator, group in groupby(sys.argv[2:], lambda word: word == "--"):
        words = [*group, *trainer_settings]
        if not is_separator:
            made = settings(*words)
            check_settings(made)
            with context(), mock.patch.object(sys, "argv", ["train.py", *words]):
                get_method(MODES[made["mode"]])(made)


if __name__ == "__main__":
    main()
