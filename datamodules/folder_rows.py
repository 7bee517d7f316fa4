"""What a user's table or folders say, row by row, before it is numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.imagenet import PICTURES
from datamodules.tables import read_table, refuse_twice
from datamodules.words import some

SUFFIXES = (*PICTURES, ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")

_TRAIN, _TEST = ("train", "training"), ("test", "val", "valid", "validation", "testing")
_YES, _NO = ("1", "true", "yes", "y", "x"), ("", "0", "false", "no", "n")


class Row(NamedTuple):
    """One picture."""

    path: str  # below the folder, or absolute
    label: str  # "": none
    test: bool = False
    trusted: bool = False
    true_label: str = ""  # "": unknown


def from_table(file: Path, key: str) -> list[Row]:
    """Read a table: `path`, `label`, and if wanted `split`, `trusted`, `true_label`.

    A row is trusted where `trusted` says so; without that column, where there is a `true_label`.

    Args:
        file: `.csv` or `.parquet`.
        key: the setting that names it.

    Raises:
        ValueError: if it is no such table, names a picture twice, or a cell is not understood.
    """
    table = read_table(file, key, ("path", "label"))
    nothing = [""] * len(table["path"])
    true = table.get("true_label", nothing)
    said = table.get("trusted", ["yes" if name else "no" for name in true])
    rows = [
        Row(
            path,
            label,
            _one_of(split, _TEST, ("", *_TRAIN), f"split, row {number}", key, file),
            _one_of(trusted, _YES, _NO, f"trusted, row {number}", key, file),
            true_label,
        )
        for number, (path, label, split, trusted, true_label) in enumerate(
            zip(
                table["path"], table["label"], table.get("split", nothing), said, true, strict=True
            ),
            start=1,
        )
    ]
    refuse_twice([row.path for row in rows], f"{key}={file}")
    unknown = next((row for row in rows if row.trusted and not (row.label or row.true_label)), None)
    if unknown is not None:
        raise ValueError(f"{key}={file} trusts {unknown.path}, which has no label: give it one.")
    return rows


def from_folders(folder: Path) -> list[Row]:
    """Look through folders: `<class>/…`, or `train/<class>/…` and `test/<class>/…`.

    Raises:
        ValueError: if there are no pictures in folders of classes.
    """
    splits = {
        one.name: one.name.lower() in _TEST
        for one in sorted(folder.iterdir())
        if one.is_dir() and one.name.lower() in (*_TRAIN, *_TEST)
    }
    # folders of classes that happen to be called so are not splits
    if not any(name.lower() in _TRAIN for name in splits):
        splits = {"": False}
    rows = []
    for split, test in splits.items():
        for path in sorted((folder / split).rglob("*")):
            below = path.relative_to(folder / split).parts
            hidden = any(part.startswith(".") for part in below)
            if len(below) > 1 and path.suffix.lower() in SUFFIXES and not hidden:
                rows.append(Row(str(path.relative_to(folder)), below[0], test))
    if not rows:
        raise ValueError(
            f"data_dir={folder} has no pictures in folders of classes: put them into <class>/, or "
            "say their classes with labels=<table>."
        )
    return rows


def trust(rows: Sequence[Row], file: Path) -> list[Row]:
    """Return the rows, those trusted that a list says were checked.

    Args:
        rows: those.
        file: a path a line; or a table `.csv` or `.parquet` with `path` and `true_label`, of which
            rows count where the latter is filled in.

    Raises:
        ValueError: if the list is not there, names a picture that is not among the rows or twice,
            or a class that none of them has: that is a slip of the pen.
    """
    key = "dataset.trusted"
    if file.suffix in (".csv", ".parquet"):
        table = read_table(file, key, ("path", "true_label"))
        pairs = zip(table["path"], table["true_label"], strict=True)
        filled = [(path, name) for path, name in pairs if name]
        refuse_twice([path for path, _ in filled], f"{key}={file}")
        checked = dict(filled)
    elif file.is_file():
        lines = file.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
        label = {row.path: row.true_label or row.label for row in rows}
        checked = {path: label.get(path, "") for path in map(str.strip, lines) if path}
    else:
        raise ValueError(f"{key}={file} is not there: give a list of checked pictures.")
    unknown = checked.keys() - {row.path for row in rows}
    if unknown:
        raise ValueError(
            f"{key}={file} names {len(unknown)} pictures that are not in the data set, such as "
            f"{min(unknown)}: write paths as the table or the folder has them."
        )
    classes = {name for row in rows for name in (row.label, row.true_label)} - {""}
    for path, name in checked.items():
        if name and name not in classes:
            raise ValueError(
                f"{key}={file} gives {path} the class {name!r}, which no picture has: give one of "
                f"{some(sorted(classes, key=natural))}."
            )
    return [
        row._replace(trusted=True, true_label=checked[row.path]) if row.path in checked else row
        for row in rows
    ]


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names with numbers in them as people do: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _one_of(
    cell: str, yes: Sequence[str], no: Sequence[str], what: str, key: str, file: Path
) -> bool:
    said = cell.lower()
    if said not in (*yes, *no):
        raise ValueError(
            f"{key}={file} says {cell!r} in column {what}: give one of {', '.join(yes)}, or of "
            f"{', '.join(filter(None, no))}."
        )
    return said in yes
