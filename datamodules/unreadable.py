"""The record of pictures that could not be read, in the run's folder."""

import csv
import fcntl
import os
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

COLUMNS = ("path", "reason")
FILE = "unreadable.csv"

_ANY_NAME: Any = {"encoding": "utf-8", "errors": "surrogateescape"}


class Unreadable:
    """Records each picture that cannot be read, once per process.

    Until `folder` is known, records stay in memory.

    Attributes:
        folder: where `unreadable.csv` goes, or None.
        seen: path → reason, as recorded in this process.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: dict[str, str] = {}
        # what stands in the file, as far as this process has read it
        self._written: dict[str, str] = {}
        self._read_to = 0

    def note(self, path: Path, error: Exception) -> None:
        """Record a picture and why it cannot be read."""
        name = os.fspath(path)
        if name in self.seen:
            return
        self.seen[name] = str(error)
        if self.folder is not None:
            self._append(self.folder, {name: str(error)})

    def write_to(self, folder: Path) -> None:
        """Write all records, past and future, to a folder."""
        self.folder = folder
        self._written, self._read_to = {}, 0
        if self.seen:
            self._append(folder, self.seen)

    def noted(self) -> dict[str, str]:
        """Return path → reason of all that this process noted, and any other in the folder.

        Of the file only that is read which is new.
        """
        if self.folder is not None and (self.folder / FILE).exists():
            with (self.folder / FILE).open(newline="", **_ANY_NAME) as file:
                fcntl.flock(file, fcntl.LOCK_SH)  # no row is half written
                self._read_on(file)
        return {**self.seen, **self._written}

    def _read_on(self, file: TextIO) -> None:
        file.seek(self._read_to)
        self._written |= _rows(file.read())
        self._read_to = file.tell()

    def _append(self, folder: Path, noted: dict[str, str]) -> None:
        """Write rows at the file's end, but for pictures that another process wrote down."""
        with (folder / FILE).open("a+", newline="", **_ANY_NAME) as file:
            # One after the other, threads too, which lockf would not keep apart.
            fcntl.flock(file, fcntl.LOCK_EX)
            self._read_on(file)
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(COLUMNS)
            for name, reason in noted.items():
                if name not in self._written:
                    writer.writerow([name, " ".join(reason.split())])
                    self._written[name] = " ".join(reason.split())
            self._read_to = file.tell()


def read_unreadable(folder: Path) -> dict[str, str]:
    """Return path → reason of all records in a run's folder, without repeats."""
    path = folder / FILE
    if not path.exists():
        return {}
    with path.open(newline="", **_ANY_NAME) as file:
        return _rows(file.read())


def _rows(text: str) -> dict[str, str]:
    rows = list(csv.reader(StringIO(text, newline="")))
    return {row[0]: row[1] for row in rows if len(row) == len(COLUMNS) and tuple(row) != COLUMNS}
