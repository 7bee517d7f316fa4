"""The rows of a user's table or folders as text, before classes are numbers."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.imagenet import PICTURES
from datamodules.tables import read_table, refuse_twice
from datamodules.walk import walk
from datamodules.words import some

SUFFIXES = (
    *PICTURES, ".jfif", ".jpe", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".apng", ".ppm",
    ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".tga", ".ico",
)  # fmt: skip

_TRAIN, _TEST = ("train", "training"), ("test", "val", "valid", "validation", "testing")
_YES, _NO = ("1", "true", "yes", "y", "x"), ("", "0", "false", "no", "n")


class Row(NamedTuple):
    """One picture."""

    path: str  # relative to the folder, or absolute
    label: str  # "": none
    test: bool = False
    trusted: bool = False
    true_label: str = ""  # "": unknown


def from_table(file: Path, key: str) -> list[Row]:
    """Read a table with `path`, `label` and, optionally, `split`, `trusted`, `true_label`.

    A row is trusted where `trusted` says so; without that column, where there is a `true_label`.

    Args:
        file: `.csv` or `.parquet`.
        key: the setting that names the file, for messages.

    Raises:
        ValueError: if it is no such table, names a picture twice, or a cell is not understood.
    """
    table = read_table(file, key, ("path", "label"))
    nothing = [""] * len(table["path"])
    true = table.get("true_label", nothing)
    said = table.get("trusted", ["yes" if name else "no" for name in true])
    rows = [
        Row(
            os.path.normpath(path) if path else path,
            normal(label),
            _one_of(split, _TEST, ("", *_TRAIN), f"split, row {number}", key, file),
            _one_of(trusted, _YES, _NO, f"trusted, row {number}", key, file),
            normal(true_label),
        )
        for number, (path, label, split, trusted, true_label) in enumerate(
            zip(
                table["path"], table["label"], table.get("split", nothing), said, true, strict=True
            ),
            start=1,
        )
    ]
    nameless = next((number for number, row in enumerate(rows, start=1) if not row.path), None)
    if nameless is not None:
        raise ValueError(f"{key}={file} names no picture in row {nameless}: give its path.")
    refuse_twice([row.path for row in rows], f"{key}={file}")
    unknown = next((row for row in rows if row.trusted and not (row.label or row.true_label)), None)
    if unknown is not None:
        raise ValueError(f"{key}={file} trusts {unknown.path}, which has no label: give it one.")
    return rows


def only_true(rows: Sequence[Row]) -> list[str]:
    """Return a note if classes occur as `true_label`, but never as `label`: perhaps typos."""
    given = {row.label for row in rows}
    never = sorted({row.true_label for row in rows} - given - {""}, key=natural)
    if not never:
        return []
    return [f"NOTE: in column true_label, but never in column label: {some(never)}: slips?"]


def from_folders(folder: Path) -> tuple[list[Row], list[str]]:
    """Read class folders: `<class>/…`, or `train/<class>/…` and `test/<class>/…`.

    Folders may be links.

    Returns:
        The rows, and a note if class folders hold other files too.

    Raises:
        ValueError: if there are no pictures in class folders.
    """
    splits = {
        one.name: one.name.lower() in _TEST
        for one in sorted(folder.iterdir())
        if one.is_dir() and one.name.lower() in (*_TRAIN, *_TEST)
    }
    # without a training split, folders with such names are classes
    if not any(name.lower() in _TRAIN for name in splits):
        splits = {"": False}
    rows, others = [], Counter[str]()
    for split, test in splits.items():
        for path in files_below(folder / split):
            below = path.relative_to(folder / split).parts
            suffix = path.suffix.lower()
            if len(below) < 2 or any(part.startswith(".") for part in below):
                continue
            if suffix in SUFFIXES:
                rows.append(Row(str(path.relative_to(folder)), normal(below[0]), test))
            else:
                others[suffix or "no suffix"] += 1
    if not rows:
        raise ValueError(
            f"data_dir={folder} has no pictures in folders of classes: put them into <class>/, or "
            "say their classes with labels=<table>."
        )
    if not others:
        return rows, []
    kinds = ", ".join(f"{kind} ({count:,})" for kind, count in others.most_common(5))
    return rows, [f"{others.total():,} files are no pictures by their names, and left out: {kinds}"]


def files_below(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted; a folder that is linked twice counts once."""
    found = []
    for place, below, files in walk(folder):
        below.sort()
        found += [place / file for file in files]
    return sorted(found)


def normal(name: str) -> str:
    """Return a class name stripped and in Unicode NFC, so that equal names compare equal.

    Folder names from a Mac may be in another form, which looks the same.
    """
    return unicodedata.normalize("NFC", name.strip())


def trust(rows: Sequence[Row], files: Sequence[Path]) -> list[Row]:
    """Return the rows, with those marked as trusted that lists say were checked.

    Args:
        rows: the data set's.
        files: lists, each a text file with one path per line, or a table (`.csv`, `.tsv` or
            `.parquet`) with `path` and `true_label`, whose rows without `true_label` are skipped.

    Raises:
        ValueError: if a list is missing, names a picture that is not among the rows or has no
            label, or gives a class that no row has, probably a typo; if a table names a picture
            twice; or if two lists disagree about a picture.
    """
    checked: dict[str, tuple[str, Path]] = {}
    for file in files:
        for path, name in _checked(rows, file).items():
            before, where = checked.setdefault(path, (name, file))
            if before != name:
                raise ValueError(
                    f"dataset.trusted: {path} is {before!r} in {where} and {name!r} in {file}: "
                    "mend one of them."
                )
    return [
        row._replace(trusted=True, true_label=checked[row.path][0]) if row.path in checked else row
        for row in rows
    ]


def _checked(rows: Sequence[Row], file: Path) -> dict[str, str]:
    """Return path → class of the pictures that a list says were checked; see `trust`."""
    key = "dataset.trusted"
    checked = _read_checked(rows, file, key)
    unknown = checked.keys() - {row.path for row in rows}
    if unknown:
        raise ValueError(
            f"{key}={file} names {len(unknown)} pictures that are not in the data set, such as "
            f"{min(unknown)}: write paths as the table or the folder has them."
        )
    classes = {name for row in rows for name in (row.label, row.true_label)} - {""}
    for path, name in checked.items():
        if not name:
            raise ValueError(
                f"{key}={file} trusts {path}, which has no label: give it one, or list it in a "
                "table with path and true_label."
            )
        if name not in classes:
            raise ValueError(
                f"{key}={file} gives {path} the class {name!r}, which no picture has: give one of "
                f"{some(sorted(classes, key=natural))}."
            )
    return checked


def _read_checked(rows: Sequence[Row], file: Path, key: str) -> dict[str, str]:
    if file.suffix.lower() in (".csv", ".tsv", ".parquet"):
        table = read_table(file, key, ("path", "true_label"))
        pairs = zip(table["path"], table["true_label"], strict=True)
        filled = [(os.path.normpath(path), normal(name)) for path, name in pairs if name]
        refuse_twice([path for path, _ in filled], f"{key}={file}")
        return dict(filled)
    if not file.is_file():
        raise ValueError(f"{key}={file} is not there: give a list of checked pictures.")
    lines = file.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    label = {row.path: row.true_label or row.label for row in rows}
    paths = (os.path.normpath(line.strip()) for line in lines if line.strip())
    return {path: label.get(path, "") for path in paths}


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
