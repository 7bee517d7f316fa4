"""How much memory this process has, had at most, and can still get, as Linux reports it."""

import re
import resource
import sys
from pathlib import Path

import torch

_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SYSTEM = Path("/proc/meminfo")
_RESET_PEAK = "5"


def forget_peak() -> None:
    """Reset the peak if the system can; otherwise it is that of the process's whole life."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return


def resident() -> int:
    """Return the bytes held now; where the system does not say, the peak."""
    resident_bytes = _bytes_of_entry(_STATUS, "VmRSS")
    return peak() if resident_bytes is None else resident_bytes


def peak() -> int:
    """Return the most bytes held since `forget_peak`."""
    peak_bytes = _bytes_of_entry(_STATUS, "VmHWM")
    return peak_of_life() if peak_bytes is None else peak_bytes


def peak_of_life() -> int:
    """Return the most bytes this process ever held."""
    # kilobytes, except on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_gpu_peak(device: torch.device) -> None:
    """Reset the peak of the bytes allocated on a GPU; do nothing on another device."""
    # before its first use there is no peak yet, and torch raises an error
    if device.type == "cuda" and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats(device)


def available() -> int | None:
    """Return the bytes still available on this machine, or None if it does not say."""
    return _bytes_of_entry(_SYSTEM, "MemAvailable")


def _bytes_of_entry(path: Path, name: str) -> int | None:
    if not path.exists():
        return None
    match = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), flags=re.MULTILINE)
    return None if match is None else 1024 * int(match[1])
