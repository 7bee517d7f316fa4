"""The record of pictures that could not be read, in the run's folder."""

import csv
import os
from pathlib import Path

COLUMNS = ("path", "reason")
FILE = "unreadable.csv"


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

    def note(self, path: Path, error: Exception) -> None:
        """Record a picture and why it cannot be read."""
        name = os.fspath(path)
        if name in self.seen:
            return
        self.seen[name] = str(error)
        if self.folder is not None:
            _append(self.folder / FILE, [(name, str(error))])

    def write_to(self, folder: Path) -> None:
        """Write all records, past and future, to a folder."""
        self.folder = folder
        if self.seen:
            _append(folder / FILE, list(self.seen.items()))


def _append(path: Path, rows: list[tuple[str, str]]) -> None:
    # One appending write per row, so that rows of different workers do not mix.
    with path.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([row[0], " ".join(row[1].split())])
            file.flush()


def read_unreadable(folder: Path) -> dict[str, str]:
    """Return path → reason of all records in a run's folder, without repeats."""
    path = folder / FILE
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    return {row[0]: row[1] for row in rows if len(row) == len(COLUMNS) and tuple(row) != COLUMNS}
