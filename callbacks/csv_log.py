"""`metrics.csv`: one row per logged step, written as soon as it is logged, and safe to resume."""

import csv
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from datamodules.atomic import atomic_replace, fsync_path


def read_metrics(path: str | Path) -> dict[str, list[tuple[int, float]]]:
    """Return every metric of a `metrics.csv` as its (step, value) pairs, in order of step.

    Empty cells are left out. A file that does not exist has no metrics.
    """
    metrics: dict[str, list[tuple[int, float]]] = {}
    for step, row in sorted(read_rows(Path(path)).items()):
        for name, value in row.items():
            metrics.setdefault(name, []).append((step, value))
    return metrics


def read_rows(path: Path) -> dict[int, dict[str, float]]:
    """Return the rows of a `metrics.csv` by step; see `read_metrics`."""
    if not path.exists():
        return {}
    # a run killed while writing leaves half a last line: without a newline, it is no row
    lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    rows: dict[int, dict[str, float]] = {}
    for cells in csv.DictReader(lines):
        try:
            step = int(cells.pop("step"))
            rows[step] = {name: float(cell) for name, cell in cells.items() if cell}
        except (KeyError, TypeError, ValueError):
            continue  # a damaged row must not cost the run
    return rows


class CSVLog(Logger):
    """Write metrics to one CSV file: column `step` first, then one column per metric.

    Values logged at the same step share a row; NaN leaves its cell empty. Rows already in the file
    are kept, so that a resumed run continues it.

    Args:
        path: the file; its folder is created when the first row is written.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)
        self._rows = read_rows(self.path)
        self._columns = [
            "step",
            *dict.fromkeys(name for row in self._rows.values() for name in row),
        ]
        self._last_row_at: int | None = None  # offset of the last row, once this object wrote it

    @property
    def name(self) -> str:
        """Return the file's name without its suffix."""
        return self.path.stem

    @property
    def version(self) -> str:
        """Return an empty string: a run folder is one version."""
        return ""

    @property
    def save_dir(self) -> str:
        """Return the file's folder."""
        return str(self.path.parent)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the run folder has the configuration."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of `step` and write the row to the file."""
        if step is None:
            raise ValueError("CSVLog.log_metrics was given no step: say after which step it was.")
        values = {name: float(value) for name, value in metrics.items()}
        new_columns = [name for name in values if name not in self._columns]
        last_step = next(reversed(self._rows), step)
        row = self._rows.setdefault(step, {})
        row.update((name, value) for name, value in values.items() if not math.isnan(value))
        self._columns += new_columns
        if new_columns or step < last_step or self._last_row_at is None:
            self._write_all()
        else:
            self._write_last(row, step, opens_row=step > last_step)

    @rank_zero_only
    def truncate_after(self, step: int) -> None:
        """Drop the rows of later steps: a run that resumes at `step` will write them again."""
        kept = {row_step: row for row_step, row in self._rows.items() if row_step <= step}
        if len(kept) < len(self._rows):
            self._rows = kept
            self._write_all()

    def save(self) -> None:
        """Sync the file to disk, before a checkpoint of its steps is written."""
        if self._last_row_at is not None:
            fsync_path(self.path)

    def _write_last(self, row: Mapping[str, float], step: int, opens_row: bool) -> None:
        with self.path.open("r+", newline="") as file:
            if opens_row:
                self._last_row_at = file.seek(0, os.SEEK_END)
            else:
                assert self._last_row_at is not None
                file.seek(self._last_row_at)
            file.write(self._line(row, step))
            file.truncate()

    def _write_all(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._rows = dict(sorted(self._rows.items()))
        with atomic_replace(self.path) as partial, partial.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(self._columns)
            for step, row in self._rows.items():
                self._last_row_at = file.tell()
                file.write(self._line(row, step))

    def _line(self, row: Mapping[str, float], step: int) -> str:
        # nine digits tell any two float32 apart
        cells = [f"{row[name]:.9g}" if name in row else "" for name in self._columns[1:]]
        return ",".join([str(step), *cells]) + "\n"
