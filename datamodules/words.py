"""Words that several sentences for the user need."""

from collections.abc import Sequence

_FEW = 5


def some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def printable(text: str) -> str:
    """Return a text whose file names, in whatever encoding, a terminal takes."""
    return text.encode("utf-8", "backslashreplace").decode()


def counted(count: int, noun: str) -> str:
    """Return `1 step`, `2 steps`, `1,000 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
