"""What `torch.compile` needs and pip does not bring; known before torch is imported."""

import os
import shutil
import sysconfig
from pathlib import Path

_NAMES = ("g++", "clang++", "cl")


def missing() -> str | None:
    """Return what this machine lacks to compile, or None."""
    given = os.environ.get("CXX")
    if not any(shutil.which(name) for name in ([given] if given else _NAMES)):
        return f"the C++ compiler CXX={given}" if given else "a C++ compiler, such as g++"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers (Python.h, for example of the package python3-dev)"
    return None
