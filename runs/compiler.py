"""What `torch.compile` needs and pip does not install; found out without importing torch."""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

# torch's choice where CXX is not set.
_COMPILER = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")


def missing_for_compiling() -> str | None:
    """Return what this machine lacks to compile, or None."""
    compiler = os.environ.get("CXX")
    if not shutil.which(shlex.split(compiler)[0] if compiler else _COMPILER):
        return f"the C++ compiler CXX={compiler}" if compiler else f"the C++ compiler {_COMPILER}"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers (Python.h, for example of the package python3-dev)"
    return None
