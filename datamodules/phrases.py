"""Phrases shared by several messages to the user."""

import shlex
from collections.abc import Sequence
from pathlib import Path

_FEW = 5


def first_few(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    rest = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + rest


def printable(text: str) -> str:
    """Return a text that a terminal can print, with escapes for bytes that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_shell_argument(key: str, path: Path) -> str:
    """Return `key=path` as it is to be typed, whatever signs the path has."""
    return shlex.quote(f"{key}={hydra_quoted(path)}")


def hydra_quoted(path: Path) -> str:
    """Return a path as Hydra takes any: its signs mean nothing in quotes."""
    text = str(path)
    plain = all(sign.isalnum() or sign in "/._-" for sign in text)
    return text if plain else "'" + text.replace("'", "\\'") + "'"


def counted(count: int, noun: str) -> str:
    """Return `1 step`, `2 steps`, `1,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a readable duration: `8 s`, `3 min 05 s`, `2 h 07 min`."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"


def byte_size(count: int) -> str:
    """Return a readable number of bytes: `998 MiB`, `1.5 GiB`."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.0f} MiB"
