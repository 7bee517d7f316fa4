"""The rows of a user's table or folders as text, before classes are numbers."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datamodules.imagenet import JPEG_PNG_SUFFIXES
from datamodules.phrases import first_few
from datamodules.tables import check_unique, read_table
from datamodules.walk import walk

PICTURE_SUFFIXES = (
    *JPEG_PNG_SUFFIXES, ".jfif", ".jpe", ".bmp", ".dib", ".webp", ".tif", ".tiff", ".gif", ".apng",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".tga", ".ico",
)  # fmt: skip

_TRAIN, _TEST = ("train", "training"), ("test", "val", "valid", "validation", "testing")
_YES, _NO = ("1", "true", "yes", "y", "x"), ("", "0", "false", "no", "n")


class PictureRow(NamedTuple):
    """One picture."""

    path: str  # relative to the folder, or absolute
    label: str  # "": none
    test: bool = False
    trusted: bool = False
    true_label: str = ""  # "": unknown
    was_tested: bool = False  # whether a list of checked pictures says that it was tested on
    given_label: str = ""  # in a cleaned list: the label that it came with


def read_table_rows(file: Path, key: str) -> list[PictureRow]:
    """Read a table with `path`, `label` and, optionally, `split`, `trusted`, `true_label`.

    A row is trusted where `trusted` says so; without that column, where there is a `true_label`.
    Of a cleaned list, `given_label` is kept too.

    Args:
        file: `.csv` or `.parquet`.
        key: the setting that names the file, for messages.

    Raises:
        ValueError: if it is no such table, names a picture twice, or a cell is not understood.
    """
    table = read_table(file, key, ("path", "label"))
    empty = [""] * len(table["path"])
    true = table.get("true_label", empty)
    trusted_cells = table.get("trusted", ["yes" if name else "no" for name in true])
    rows = [
        PictureRow(
            os.path.normpath(path) if path else path,
            normalise_name(label),
            _parse_flag(split, _TEST, ("", *_TRAIN), f"split, row {number}", key, file),
            _parse_flag(trusted, _YES, _NO, f"trusted, row {number}", key, file),
            normalise_name(true_label),
            given_label=normalise_name(given_label),
        )
        for number, (path, label, split, trusted, true_label, given_label) in enumerate(
            zip(
                table["path"],
                table["label"],
                table.get("split", empty),
                trusted_cells,
                true,
                table.get("given_label", empty),
                strict=True,
            ),
            start=1,
        )
    ]
    row_without_path = next(
        (number for number, row in enumerate(rows, start=1) if not row.path), None
    )
    if row_without_path is not None:
        raise ValueError(f"{key}={file} names no picture in row {row_without_path}: give its path.")
    check_unique([row.path for row in rows], f"{key}={file}")
    row_without_label = next(
        (row for row in rows if row.trusted and not (row.label or row.true_label)), None
    )
    if row_without_label is not None:
        raise ValueError(
            f"{key}={file} trusts {row_without_label.path}, which has no label: give it one."
        )
    return rows


def note_true_only_classes(rows: Sequence[PictureRow]) -> list[str]:
    """Return a note if classes occur as `true_label`, but never as `label`: perhaps typos."""
    given = {row.label for row in rows}
    true_only = sorted({row.true_label for row in rows} - given - {""}, key=natural_sort_key)
    if not true_only:
        return []
    return [
        f"NOTE: in column true_label, but never in column label: {first_few(true_only)}: slips?"
    ]


def note_lost_classes(rows: Sequence[PictureRow]) -> list[str]:
    """Return a note if a cleaned list left out all pictures of a class, which then is none here."""
    named = {name for row in rows for name in (row.label, row.true_label)}
    lost = {row.given_label for row in rows if not row.label} - named - {""}
    if not lost:
        return []
    return [
        "NOTE: the table left out all pictures of these classes, which are no classes any more: "
        f"{first_few(sorted(lost, key=natural_sort_key))}; check some (dataset.trusted) to keep one"
    ]


def read_folder_rows(folder: Path) -> tuple[list[PictureRow], list[str]]:
    """Read class folders: `<class>/…`, or `train/<class>/…` and `test/<class>/…`.

    Folders may be links.

    Returns:
        The rows, and a note if class folders hold other files too.

    Raises:
        ValueError: if there are no pictures in class folders.
    """
    splits = {
        subfolder.name: subfolder.name.lower() in _TEST
        for subfolder in sorted(folder.iterdir())
        if subfolder.is_dir() and subfolder.name.lower() in (*_TRAIN, *_TEST)
    }
    # without a training split, folders with such names are classes
    if not any(name.lower() in _TRAIN for name in splits):
        splits = {"": False}
    rows, other_files = [], Counter[str]()
    for split, test in splits.items():
        for path in files_below(folder / split):
            suffix = path.suffix.lower()
            if len(path.parts) < 2:
                continue
            if suffix in PICTURE_SUFFIXES:
                rows.append(PictureRow(str(Path(split, path)), normalise_name(path.parts[0]), test))
            else:
                other_files[suffix or "no suffix"] += 1
    if not rows:
        raise ValueError(
            f"data_dir={folder} has no pictures in folders of classes: put them into <class>/, or "
            "say their classes with labels=<table>."
        )
    if not other_files:
        return rows, []
    suffixes = ", ".join(
        f"{suffix_name} ({count:,})" for suffix_name, count in other_files.most_common(5)
    )
    return rows, [
        f"{other_files.total():,} files are no pictures by their names, and left out: {suffixes}"
    ]


def files_below(folder: Path) -> list[Path]:
    """Return the paths of all files below a folder, from there, sorted; none that is hidden.

    A folder that is linked twice counts once.
    """
    paths: list[Path] = []
    for subfolder, subfolders, files in walk(folder):
        subfolders.sort()
        paths += [(subfolder / file).relative_to(folder) for file in files]
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.parts))


def normalise_name(name: str) -> str:
    """Return a class name stripped and in Unicode NFC, so that equal names compare equal.

    Folder names from a Mac may be in another form, which looks the same.
    """
    return unicodedata.normalize("NFC", name.strip())


def mark_trusted(rows: Sequence[PictureRow], files: Sequence[Path]) -> list[PictureRow]:
    """Return the rows, with those marked as trusted that lists say were checked.

    Args:
        rows: the data set's.
        files: lists, each a text file with one path per line, or a table (`.csv`, `.tsv` or
            `.parquet`) with `path` and `true_label`, whose rows without `true_label` are skipped.
            A column `tested`, as in `label_next.csv`, says which pictures were tested on, skipped
            ones too.

    Raises:
        ValueError: if a list is missing, names a picture that is not among the rows or has no
            label, or gives a class that no row has, probably a typo; if a table names a picture
            twice; or if two lists disagree about a picture.
    """
    checked: dict[str, tuple[str, Path]] = {}
    tested: set[str] = set()
    for file in files:
        listed = _read_checked_list(rows, file, "dataset.trusted")
        tested |= listed.tested
        _check_classes(rows, file, listed.class_of)
        for path, name in listed.class_of.items():
            earlier_name, earlier_file = checked.setdefault(path, (name, file))
            if earlier_name != name:
                raise ValueError(
                    f"dataset.trusted: {path} is {earlier_name!r} in {earlier_file} and {name!r} "
                    f"in {file}: mend one of them."
                )
    rows = [row._replace(was_tested=row.path in tested) for row in rows]
    return [
        row._replace(trusted=True, true_label=checked[row.path][0]) if row.path in checked else row
        for row in rows
    ]


def _check_classes(rows: Sequence[PictureRow], file: Path, checked: Mapping[str, str]) -> None:
    """Check path → class of the pictures that a list says were checked; see `mark_trusted`."""
    key = "dataset.trusted"
    unknown = checked.keys() - {row.path for row in rows}
    if unknown:
        raise ValueError(
            f"{key}={file} names {len(unknown)} pictures that are not in the data set, such as "
            f"{min(unknown)}: write paths as the table or the folder has them."
        )
    names = {name for row in rows for name in (row.label, row.true_label, row.given_label)}
    classes = names - {""}
    for path, name in checked.items():
        if not name:
            raise ValueError(
                f"{key}={file} trusts {path}, which has no label: give it one, or list it in a "
                "table with path and true_label."
            )
        if name not in classes:
            raise ValueError(
                f"{key}={file} gives {path} the class {name!r}, which no picture has: give one of "
                f"{first_few(sorted(classes, key=natural_sort_key))}."
            )


class _CheckedList(NamedTuple):
    class_of: dict[str, str]  # path → class of the pictures that were checked
    tested: set[str]  # paths of those that were tested on, checked or not


def _read_checked_list(rows: Sequence[PictureRow], file: Path, key: str) -> _CheckedList:
    if file.suffix.lower() in (".csv", ".tsv", ".parquet"):
        table = read_table(file, key, ("path", "true_label"))
        paths = [os.path.normpath(path) for path in table["path"]]
        pairs = zip(paths, table["true_label"], strict=True)
        filled = [(path, normalise_name(name)) for path, name in pairs if name]
        check_unique([path for path, _ in filled], f"{key}={file}")
        flags = zip(paths, table.get("tested", [""] * len(paths)), strict=True)
        tested = {
            path
            for number, (path, flag) in enumerate(flags, start=1)
            if _parse_flag(flag, _YES, _NO, f"tested, row {number}", key, file)
        }
        return _CheckedList(dict(filled), tested)
    if not file.is_file():
        raise ValueError(f"{key}={file} is not there: give a list of checked pictures.")
    lines = file.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    label = {row.path: row.true_label or row.label for row in rows}
    named = (os.path.normpath(line.strip()) for line in lines if line.strip())
    return _CheckedList({path: label.get(path, "") for path in named}, set())


def natural_sort_key(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names with numbers in them as people do: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _parse_flag(
    cell: str, yes: Sequence[str], no: Sequence[str], column: str, key: str, file: Path
) -> bool:
    text = cell.lower()
    if text not in (*yes, *no):
        raise ValueError(
            f"{key}={file} says {cell!r} in column {column}: give one of {', '.join(yes)}, or of "
            f"{', '.join(filter(None, no))}."
        )
    return text in yes
