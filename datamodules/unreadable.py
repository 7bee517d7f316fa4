"""Pictures that cannot be read, written down where a run keeps its results."""

import csv
import os
from pathlib import Path

COLUMNS = ("path", "reason")
FILE = "unreadable.csv"


class Unreadable:
    """Notes each picture that cannot be read, once, from any process.

    Before `folder` is known, what is noted is only counted.

    Attributes:
        folder: where `unreadable.csv` goes, or None.
        seen: paths noted in this process.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.seen: dict[str, str] = {}

    def note(self, path: Path, error: Exception) -> None:
        """Write down a picture and why it cannot be read."""
        name = os.fspath(path)
        if name in self.seen:
            return
        self.seen[name] = str(error)
        if self.folder is not None:
            _append(self.folder / FILE, [(name, str(error))])

    def write_to(self, folder: Path) -> None:
        """Write all that is noted, and will be, below a folder."""
        self.folder = folder
        if self.seen:
            _append(folder / FILE, list(self.seen.items()))


def _append(path: Path, rows: list[tuple[str, str]]) -> None:
    # One write for a row, at the file's end: loader processes do not cut into each other's.
    with path.open("a", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow([row[0], " ".join(row[1].split())])
            file.flush()


def read_unreadable(folder: Path) -> dict[str, str]:
    """Return path → reason of all that is noted in a run's folder, each once."""
    path = folder / FILE
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    return {row[0]: row[1] for row in rows if len(row) == len(COLUMNS) and tuple(row) != COLUMNS}
