"""Which compared runs were tested on different test sets: their accuracies do not compare.

Each result says which its test set is, except those of earlier versions. Alone, these make no
difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

# What the test set is called where it tells runs apart, like a setting.
TEST_SET = "test_set"

_UNKNOWN = "unknown"


def different_test_sets(rows: Iterable[Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return data set → test set → its size, for data sets whose runs have different test sets.

    Args:
        rows: flat results.
    """
    sizes: dict[Any, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        sizes[row.get("dataset")].setdefault(which_test_set(row), row.get("data/tested"))
    return {
        dataset: sizes_of_sets
        for dataset, sizes_of_sets in sizes.items()
        if len(sizes_of_sets.keys() - {_UNKNOWN}) > 1
    }


def which_test_set(row: Mapping[str, Any]) -> str:
    """Return which test set a result is of, `unknown` if it does not say so."""
    return str(row.get("data/tested_hash") or _UNKNOWN)


def describe_test_sets(test_sets: Mapping[Any, Mapping[str, Any]]) -> list[str]:
    """Return one line for each data set whose runs have different test sets.

    Args:
        test_sets: as `different_test_sets` returns them.
    """
    lines = []
    for dataset, sizes in test_sets.items():
        parts = [
            f"{TEST_SET}={test_set} "
            + ("(results of earlier versions)" if test_set == _UNKNOWN else f"({size} images)")
            for test_set, size in sorted(sizes.items())
        ]
        lines.append(f"{dataset}: {', '.join(parts)}")
    return lines
