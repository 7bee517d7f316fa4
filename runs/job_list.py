"""A multirun's jobs that train nothing, listed: what an evaluation found, where a check's file is.

There is nothing to take means of, and a job that returned is a success.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.tables import writing_table
from datamodules.words import printable
from runs.rows import Row

FILE = "jobs.csv"

_NOT_SHOWN = ("settings", "mode")


def write_list(rows: Sequence[Row], folder: Path) -> None:
    """Write `jobs.csv`, one line a job."""
    columns = _columns(rows)
    with writing_table(folder / FILE, columns) as table:
        table.writerows([row.get(name) for name in columns] for row in rows)


def show_list(rows: Sequence[Row], folder: Path, console: Console | None = None) -> None:
    """Print the list, and why a job has no result."""
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    done = [row for row in rows if "error" not in row]
    if done:
        drawn = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        for name in _columns(done):
            drawn.add_column(name, overflow="fold")
        for row in done:
            drawn.add_row(*(_cell(row.get(name)) for name in _columns(done)))
        console.print(drawn)
    failed = [f"No result: {row['job']}: {row['error']}" for row in rows if "error" in row]
    for line in (*failed, f"Written to {folder / FILE}"):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def _columns(rows: Sequence[Row]) -> list[str]:
    return [name for name in dict.fromkeys(key for row in rows for key in row)
            if name not in _NOT_SHOWN]  # fmt: skip


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else escape(printable(str(value)))
