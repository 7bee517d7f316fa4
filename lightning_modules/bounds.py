"""Values refused by the name of their config key; imports nothing heavy."""

import math
from collections.abc import Sequence


def one_of(key: str, value: object, allowed: Sequence[str]) -> None:
    """Raise a `ValueError` that names the config key unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{key}={value} is not known: choose one of {', '.join(allowed)}.")


def within(key: str, value: float, least: float, most: float = math.inf) -> None:
    """Raise a `ValueError` that names the config key unless least ≤ value ≤ most, a number."""
    if not _is_number(value) or not least <= value <= most:
        allowed = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
        raise ValueError(f"{key}={value} is not possible: give {allowed}.")


def above(key: str, value: float, bound: float, most: float = math.inf) -> None:
    """Raise a `ValueError` that names the config key unless bound < value ≤ most, a number."""
    if not _is_number(value) or not bound < value <= most:
        limit = f", at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{key}={value} is not possible: give a number above {bound:g}{limit}.")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
