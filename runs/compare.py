"""The table and figure that compare runs, for `mode=compare` and at the end of a multirun."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules.phrases import printable
from runs.comparison import distinguish_runs, not_counted
from runs.comparison_figure import draw_comparison
from runs.rows import find_runs, is_multirun_folder
from runs.settings import Settings
from runs.table import print_table, write_tables

FIGURE = "comparison.png"

# Where runs without a `run_dir` go.
_DEFAULT_FOLDER = "outputs"


def compare(settings: Settings) -> dict[str, Any]:
    """Compare the runs in `run_dir`: a folder, a pattern, or a list of these; null: `outputs`.

    The comparison is written into a multirun's folder, into `compare/` in any other folder, and
    into `outputs/compare/` for a pattern or a list.

    Raises:
        ValueError: if there is nothing to compare, or no place to write to.
    """
    places = settings["run_dir"] or _DEFAULT_FOLDER
    rows = find_runs([places] if isinstance(places, str) else places)
    reasons = not_counted(rows)
    if len(reasons) == len(rows):
        and_more = f"; and {len(reasons) - 5} more" if len(reasons) > 5 else ""
        raise ValueError(
            f"run_dir={places} holds no run that is finished "
            f"({'; '.join(reasons[:5])}{and_more}): give "
            "folders of runs, of multiruns, or a folder above them."
        )
    folder = comparison_folder(places)
    try:
        write_comparison(rows, folder)
    except OSError as error:
        raise ValueError(
            f"run_dir={places} cannot be compared: {folder} cannot be written ({error.strerror}). "
            f"Make that possible, or give a list, run_dir=[…], which goes to "
            f"{_DEFAULT_FOLDER}/compare."
        ) from None
    return {"compared": len(rows) - len(reasons), "folder": str(folder)}


def comparison_folder(places: str | Sequence[str]) -> Path:
    """Return where the comparison of `run_dir` goes."""
    single = Path(places).expanduser() if isinstance(places, str) else None
    if single is None or not single.is_dir():
        return Path(_DEFAULT_FOLDER, "compare")
    return single if is_multirun_folder(single) else single / "compare"


def write_comparison(
    rows: Sequence[Mapping[str, Any]], folder: str | Path, console: Console | None = None
) -> None:
    """Print the table; write it and the figure.

    Args:
        rows: as `runs.rows.find_runs` gives them.
        folder: where `results.csv`, `table.csv`, `table.md` and `comparison.png` go.
        console: where to print.
    """
    compared, folder = distinguish_runs(rows), Path(folder)
    # a log file has no width: print each row of the table on one line
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    print_table(compared, console)
    write_tables(compared, folder)
    if compared.counted:
        draw_comparison(compared.counted, folder / FIGURE)
    closing_line = printable(f"Written to {folder}")
    console.print(closing_line, markup=False, highlight=False, soft_wrap=True)
