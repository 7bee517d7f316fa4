"""`labels.csv`: every label with the run's judgement of it, the most suspicious first."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.record import Audit
from datamodules.atomic import atomic_replace
from datamodules.tables import table_writer

# column → digits after the decimal point, or None if it holds no fractions
COLUMNS: Mapping[str, int | None] = {
    "rank": None,  # from 1, the most suspicious first
    "index": None,  # row in the data set's training list
    "given_label": None,
    "suggested_label": None,  # the network's likeliest class; may be the given one
    "confidence": 4,  # of the suggestion
    "trust": 6,  # see `audit.trust`; below 0.5: suspicious
    "weight": 6,  # mean example weight; this and the next two are empty without example weights
    "weight_sd": 6,
    "weight_zero_share": 6,
    "visits": None,
    "true_label": None,  # empty where nobody knows its class
}

# Rows turned into text at a time: all of millions would need too much memory.
_CHUNK_ROWS = 50_000


def columns(
    audit: Audit, class_names: Sequence[str], files: Sequence[str] | None = None
) -> dict[str, Sequence[Any]]:
    """Return the table's columns (M,), the most suspicious label first.

    Args:
        audit: of M examples.
        class_names: of the C classes.
        files: path of each row of the training list, if it has files: adds a column `path`.
    """
    names, order = np.array(class_names, dtype=object), audit.order
    true = np.where(audit.clean >= 0, names[audit.clean], "")
    table: dict[str, Any] = {
        "rank": np.arange(1, len(order) + 1),
        "index": audit.index[order],
        "given_label": names[audit.given][order],
        "suggested_label": names[audit.suggested][order],
        "confidence": audit.confidence[order],
        "trust": audit.trust[order],
        "weight": audit.weight[order],
        "weight_sd": audit.weight_sd[order],
        "weight_zero_share": audit.zero_share[order],
        "visits": audit.visits[order],
        "true_label": true[order],
    }
    if files is not None:
        table["path"] = [files[row] for row in audit.index[order].tolist()]
    return table


def write_csv(table: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Write the columns as CSV; NaN becomes an empty cell."""
    size = len(next(iter(table.values())))
    with table_writer(path, table) as rows:
        for start in range(0, size, _CHUNK_ROWS):
            cells = [
                _text(values[start : start + _CHUNK_ROWS], COLUMNS.get(name))
                for name, values in table.items()
            ]
            rows.writerows(zip(*cells, strict=True))


def write_parquet(table: Mapping[str, Sequence[Any]], path: Path) -> None:
    r"""Write the columns as Parquet; NaN becomes null.

    Text is UTF-8: other bytes in file names are written as `\udc…`.
    """
    from pyarrow import parquet
    from pyarrow import table as arrow

    with atomic_replace(path) as partial:
        parquet.write_table(
            arrow({name: _nullable(values) for name, values in table.items()}), partial
        )


def _text(values: Sequence[Any], digits: int | None) -> Sequence[Any]:
    if digits is None:
        return _as_list(values)
    return ["" if value != value else f"{value:.{digits}f}" for value in _as_list(values)]


def _as_list(values: Sequence[Any]) -> Sequence[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values  # slow to iterate


def _nullable(values: Any) -> Any:
    import pyarrow

    kind = getattr(values, "dtype", np.dtype(object)).kind
    if kind == "O":
        values = [text.encode("utf-8", "backslashreplace").decode() for text in values]
    return pyarrow.array(values, from_pandas=kind == "f")
