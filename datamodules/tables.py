"""Read users' tables, CSV or Parquet, with all cells as text; write CSV files."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.atomic import atomic_replace

if TYPE_CHECKING:
    from _csv import Writer

Table = dict[str, list[str]]


@contextmanager
def table_writer(path: Path, columns: Iterable[str]) -> "Iterator[Writer]":
    """Yield a writer for the rows of a CSV file with a header, written to `path` atomically.

    In UTF-8, except for file names that are not: `read_table` restores them.
    """
    with (
        atomic_replace(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(columns)
        yield rows


def read_table(file: Path, key: str, needed: Sequence[str]) -> Table:
    """Return column → cells, stripped; a missing cell is "".

    File names may be any bytes: in a column `path`, bytes that are not UTF-8 are decoded as by
    `os.fsdecode`.

    Args:
        file: `.parquet`, else CSV in UTF-8 with a header, separated by comma, semicolon or tab. In
            CSV, empty rows and columns without a name, as left by spreadsheets, are skipped.
        key: the setting that names the file, for messages.
        needed: columns that must be there.

    Raises:
        ValueError: if it is missing, not a table, or lacks a column.
    """
    if not file.is_file():
        raise ValueError(f"{key}={file} is not there: give a table with {_columns_phrase(needed)}.")
    try:
        table = (
            _read_parquet(file) if file.suffix.lower() == ".parquet" else _read_csv(file, needed)
        )
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{key}={file} cannot be read as a table: {error}.") from None
    missing = [name for name in needed if name not in table]
    if missing:
        raise ValueError(
            f"{key}={file} has no column {missing[0]} (it has {', '.join(table) or 'none'}): give "
            f"a table with {_columns_phrase(needed)}."
        )
    return {
        name: cells if name == "path" else _strip_decimal_zeros(cells)
        for name, cells in table.items()
    }


def has_entries(file: Path, column: str) -> bool:
    """Return whether there is a list that holds a user's entries, which must not be overwritten.

    Args:
        file: a CSV file that we wrote for the user to fill in; it may be missing.
        column: the column to fill in.
    """
    try:
        return file.exists() and any(read_table(file, "list", (column,))[column])
    except ValueError:  # not as we wrote it: the user is editing it
        return True


def class_indices(names: Sequence[str]) -> dict[str, int]:
    """Return a map from a label in a table to its class: by name, or else by number."""
    return {str(index): index for index in range(len(names))} | {
        name: index for index, name in enumerate(names)
    }


def is_utf8(text: str) -> bool:
    """Return whether a text has no surrogate escapes, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_paths(given: str | Sequence[str] | None) -> list[str]:
    """Return the tables that `dataset.trusted` names: none, one or a list.

    Raises:
        ValueError: if it names something else.
    """
    names = [] if given is None else [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"dataset.trusted={given} is no file: give its path, or a list of some.")
    return list(names)


def check_unique(paths: Sequence[str], table_name: str) -> None:
    """Check that a table has no picture twice.

    Args:
        paths: of the pictures.
        table_name: names the table, for the message.

    Raises:
        ValueError: if it has.
    """
    repeated = next((path for path, count in Counter(paths).items() if count > 1), None)
    if repeated is not None:
        raise ValueError(
            f"{table_name} names {repeated} more than once: give each picture one row."
        )


def _read_csv(file: Path, needed: Sequence[str]) -> Table:
    _check_is_csv(file)
    with file.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as opened:
        head = opened.readline()
        declared = _SEPARATOR.match(head)  # Excel's own first line, such as sep=;
        if not declared:
            opened.seek(0)
        rows = csv.reader(
            opened, delimiter=declared[1] if declared else _find_separator(head, needed)
        )
        names = [name.strip() for name in next(rows, [])]
        repeated = next(
            (name for name, count in Counter(filter(None, names)).items() if count > 1), ""
        )
        if repeated:
            raise ValueError(f"it has the column {repeated} more than once")
        table: Table = {name: [] for name in names if name}
        for row in rows:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if any(cells[len(names) :]):
                raise ValueError(f"line {rows.line_num} has more cells than the header")
            cells += [""] * (len(names) - len(cells))
            for name, cell in zip(names, cells, strict=False):
                if not name:
                    continue
                if name != "path" and not is_utf8(cell):
                    raise ValueError(f"line {rows.line_num} is not UTF-8 in column {name}")
                if name in needed and cell.count("\n") > (name == "path"):
                    raise ValueError(
                        f"a cell of column {name} goes over several lines, up to line "
                        f"{rows.line_num}: a quotation mark is not closed"
                    )
                table[name].append(cell)
    return table


# What spreadsheet programs save by default, by the first bytes.
_NOT_CSV = {
    b"PK": "it is a spreadsheet or an archive: save it as CSV",
    b"\xd0\xcf\x11\xe0": "it is a spreadsheet: save it as CSV",
    b"\xff\xfe": "it is UTF-16: save it as CSV in UTF-8",
    b"\xfe\xff": "it is UTF-16: save it as CSV in UTF-8",
}
_SEPARATOR = re.compile(r"sep=([,;\t])\s*$", re.IGNORECASE)


def _check_is_csv(file: Path) -> None:
    with file.open("rb") as opened:
        begins = opened.read(4)
    for start, why in _NOT_CSV.items():
        if begins.startswith(start):
            raise ValueError(why)


def _find_separator(head: str, needed: Sequence[str]) -> str:
    """Return the separator that yields the needed columns, or else the most frequent one."""
    columns = {
        separator: {cell.strip(' "\r\n') for cell in head.split(separator)} for separator in ",;\t"
    }
    fits = [separator for separator, names in columns.items() if names.issuperset(needed)]
    return max(fits or columns, key=head.count)


def _read_parquet(file: Path) -> Table:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ValueError(
            "Parquet needs a package that is not installed (pip install -c constraints.txt -e "
            "'.[parquet]'), or give a .csv file"
        ) from None
    columns = parquet.read_table(file).to_pydict()
    return {
        name: ["" if cell is None else str(cell).strip() for cell in cells]
        for name, cells in columns.items()
    }


def _strip_decimal_zeros(cells: list[str]) -> list[str]:
    """Return 3 for 3.0 if all cells are like that: pandas writes so beside missing values."""
    if any(cells) and all(_DECIMAL_ZERO.fullmatch(cell) for cell in cells if cell):
        return [cell.partition(".")[0] for cell in cells]
    return cells


_DECIMAL_ZERO = re.compile(r"-?\d+\.0")


def _columns_phrase(names: Sequence[str]) -> str:
    return "the columns " + " and ".join(names) if len(names) > 1 else f"a column {names[0]}"
