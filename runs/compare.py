"""The table and figure that compare runs, for `mode=compare` and at the end of a multirun."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules.phrases import printable
from runs.apart import not_counted, told_apart
from runs.comparison_figure import draw_comparison
from runs.rows import find, holds_jobs
from runs.settings import Settings
from runs.table import show, write_tables

FIGURE = "comparison.png"

# Where runs without a `run_dir` go.
_DEFAULT = "outputs"


def compare(settings: Settings) -> dict[str, Any]:
    """Compare the runs in `run_dir`: a folder, a pattern, or a list of these; null: `outputs`.

    The comparison is written into a multirun's folder, into `compare/` in any other folder, and
    into `outputs/compare/` for a pattern or a list.

    Raises:
        ValueError: if there is nothing to compare, or no place to write to.
    """
    given = settings["run_dir"] or _DEFAULT
    rows = find([given] if isinstance(given, str) else given)
    told = not_counted(rows)
    if len(told) == len(rows):
        more = f"; and {len(told) - 5} more" if len(told) > 5 else ""
        raise ValueError(
            f"run_dir={given} holds no run that is finished ({'; '.join(told[:5])}{more}): give "
            "folders of runs, of multiruns, or a folder above them."
        )
    folder = destination(given)
    try:
        write(rows, folder)
    except OSError as error:
        raise ValueError(
            f"run_dir={given} cannot be compared: {folder} cannot be written ({error.strerror}). "
            f"Make that possible, or give a list, run_dir=[…], which goes to {_DEFAULT}/compare."
        ) from None
    return {"compared": len(rows) - len(told), "folder": str(folder)}


def destination(given: str | Sequence[str]) -> Path:
    """Return where the comparison of `run_dir` goes."""
    one = Path(given).expanduser() if isinstance(given, str) else None
    if one is None or not one.is_dir():
        return Path(_DEFAULT, "compare")
    return one if holds_jobs(one) else one / "compare"


def write(
    rows: Sequence[Mapping[str, Any]], folder: str | Path, console: Console | None = None
) -> None:
    """Print the table; write it and the figure.

    Args:
        rows: as `runs.rows.find` gives them.
        folder: where `results.csv`, `table.csv`, `table.md` and `comparison.png` go.
        console: where to print.
    """
    compared, folder = told_apart(rows), Path(folder)
    # a log file has no width: print each row of the table on one line
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    show(compared, console)
    write_tables(compared, folder)
    if compared.counted:
        draw_comparison(compared.counted, folder / FIGURE)
    said = printable(f"Written to {folder}")
    console.print(said, markup=False, highlight=False, soft_wrap=True)
