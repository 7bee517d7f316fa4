"""Checks of config values, with errors that name the config key; imports nothing heavy."""

import math
from collections.abc import Sequence
from typing import TypeGuard


def check_one_of(key: str, value: object, allowed: Sequence[str]) -> None:
    """Raise a `ValueError` that names the config key unless `value` is allowed."""
    if value not in allowed:
        raise ValueError(f"{key}={value} is not known: choose one of {', '.join(allowed)}.")


def check_within(key: str, value: float, least: float, most: float = math.inf) -> None:
    """Raise a `ValueError` that names the config key unless `value` is in [least, most]."""
    if not is_number(value) or not least <= value <= most:
        allowed = f"from {least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
        raise ValueError(f"{key}={value} is not possible: give {allowed}.")


def check_above(key: str, value: float, bound: float, most: float = math.inf) -> None:
    """Raise a `ValueError` that names the config key unless `value` is in (bound, most]."""
    if not is_number(value) or not bound < value <= most:
        limit = f", at most {most:g}" if most < math.inf else ""
        raise ValueError(f"{key}={value} is not possible: give a number above {bound:g}{limit}.")


def check_integer(key: str, value: object, least: int, *, or_null: bool = False) -> None:
    """Raise a `ValueError` that names the config key unless `value` is an int ≥ `least`."""
    if or_null and value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        null = ", or null" if or_null else ""
        raise ValueError(f"{key}={value} must be a whole number, {least} or more{null}.")


def check_bool(key: str, value: object) -> None:
    """Raise a `ValueError` that names the config key unless `value` is true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{key}={value} is not known: give true or false.")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a finite number; a bool is not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value)
