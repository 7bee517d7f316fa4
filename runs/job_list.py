"""The list of a multirun's jobs that train nothing: evaluations, predictions and checks.

They have no means over seeds, and a job that returned is a success.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.phrases import printable
from runs.rows import Row
from runs.table import write_rows

FILE = "jobs.csv"

_NOT_SHOWN = ("settings", "mode")


def write_job_list(rows: Sequence[Row], folder: Path) -> None:
    """Write `jobs.csv`, one line per job."""
    write_rows(_shown_columns(rows), folder / FILE)


def print_job_list(rows: Sequence[Row], folder: Path, console: Console | None = None) -> None:
    """Print the list, and why the failed jobs have no result."""
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    succeeded = _shown_columns([row for row in rows if "error" not in row])
    if succeeded:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        columns = dict.fromkeys(name for row in succeeded for name in row)
        for name in columns:
            table.add_column(name, overflow="fold")
        for row in succeeded:
            table.add_row(*(_cell(row.get(name)) for name in columns))
        console.print(table)
    failed = [f"No result: {row['job']}: {row['error']}" for row in rows if "error" in row]
    for line in (*failed, f"Written to {folder / FILE}"):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _shown_columns(rows: Sequence[Row]) -> list[Row]:
    return [{name: row[name] for name in row if name not in _NOT_SHOWN} for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else escape(printable(str(value)))
