"""How much memory this process has, had at most, and can still get, as Linux reports it."""

import re
import resource
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_SYSTEM = Path("/proc/meminfo")
_FORGET_THE_PEAK = "5"


def forget_peak() -> None:
    """Reset the peak if the system can; otherwise it is that of the process's whole life."""
    try:
        _CLEAR.write_text(_FORGET_THE_PEAK)
    except OSError:
        return


def resident() -> int:
    """Return the bytes held now; where the system does not say, the peak."""
    now = _kibibytes(_STATUS, "VmRSS")
    return peak() if now is None else now


def peak() -> int:
    """Return the most bytes held since `forget_peak`."""
    most = _kibibytes(_STATUS, "VmHWM")
    return peak_of_life() if most is None else most


def peak_of_life() -> int:
    """Return the most bytes this process ever held."""
    # kilobytes, except on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def available() -> int | None:
    """Return the bytes still available on this machine, or None if it does not say."""
    return _kibibytes(_SYSTEM, "MemAvailable")


def _kibibytes(path: Path, name: str) -> int | None:
    if not path.exists():
        return None
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), flags=re.MULTILINE)
    return None if found is None else 1024 * int(found[1])
