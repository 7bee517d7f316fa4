"""Memory that a step frees stays with the process: the next step needs the same again."""

import ctypes
import platform

# glibc's names and numbers (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER = -1
_LARGEST = 1 << 30  # bytes; what is larger, a whole data set, goes back when it is freed


def keep_freed_memory() -> None:
    """Tell glibc's malloc not to hand freed memory back to the system; elsewhere do nothing.

    By default it maps every tensor above 32 MiB anew, and the system clears page after page of it
    each time it is written first: on a CPU a tenth (supervised) to a fifth (IEG) of a step.
    """
    if platform.libc_ver()[0] == "glibc":
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        malloc.mallopt(_M_TRIM_THRESHOLD, _NEVER)
