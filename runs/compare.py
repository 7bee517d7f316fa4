"""One table of many runs: means over seeds, as CSV, Markdown, a picture and on the terminal."""

import csv
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from callbacks.figures import draw_sweep

Row = Mapping[str, Any]

_KEYS = ("dataset", "noise", "method", "model", "settings")
_COLUMNS = {
    **{key: key for key in _KEYS},
    "n": "n",
    "test/acc_last": "test acc (last)",
    "test/acc_best_oracle": "test acc (best, oracle)",
    "noise/auroc": "AUROC",
    "seconds": "seconds",
}
_NAMING = ("dataset", "noise", "method", "model", "seed")
_MEASURED = ("test/acc_last", "test/acc_best_oracle", "noise/auroc", "seconds")


def problem(row: Row) -> str | None:
    """Return why a job has no result to count, or None."""
    if row.get("error"):
        return str(row["error"])
    if not row.get("finished", True):
        return "stopped before its last step: run the same command again to go on"
    return None if "test/acc_last" in row else "its result has no test/acc_last"


def finished(rows: Iterable[Row]) -> list[Row]:
    """Return the jobs that have a result."""
    return [row for row in rows if problem(row) is None]


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Return the jobs that have a result, without the settings that all of them share."""
    counted = finished(rows)
    settings = [frozenset(str(row.get("settings", "")).split()) for row in counted]
    shared = frozenset.intersection(*settings) if settings else frozenset()
    return [
        {**row, "settings": " ".join(sorted(chosen - shared))}
        for row, chosen in zip(counted, settings, strict=True)
    ]


def table(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return one entry for each data set, noise rate, method, model and set of other settings.

    Args:
        rows: the jobs' flat results; those without a result are left out. `settings`, where
            given, names what else was chosen for the job: what all jobs share is not shown.

    Returns:
        Sorted entries: the keys, `n`, and for each measured quantity its mean over seeds, and its
        sample standard deviation under the same name with `/sd` (None for one seed).
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in distinct(rows):
        groups.setdefault(tuple(row.get(name) for name in _KEYS), []).append(row)
    entries = []
    for key, members in sorted(groups.items(), key=lambda item: tuple(map(_order, item[0]))):
        entry: dict[str, Any] = {**dict(zip(_KEYS, key, strict=True)), "n": len(members)}
        for name in _MEASURED:
            values = [float(row[name]) for row in members if row.get(name) is not None]
            entry[name] = statistics.mean(values) if values else None
            entry[f"{name}/sd"] = statistics.stdev(values) if len(values) > 1 else None
        entries.append(entry)
    return entries


def _order(value: Any) -> tuple[bool, Any]:
    number = isinstance(value, int | float)
    return not number, value if number else str(value)


def _cells(entries: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    shown = [
        name for name in _COLUMNS if any(entry.get(name) not in (None, "") for entry in entries)
    ]
    return [_COLUMNS[name] for name in shown], [
        [_cell(entry, name) for name in shown] for entry in entries
    ]


def _cell(entry: Row, name: str) -> str:
    value, spread = entry.get(name), entry.get(f"{name}/sd")
    if value is None:
        return ""
    if name not in _MEASURED:
        return str(value)
    digits = 0 if name == "seconds" else 4
    return f"{value:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def failures(rows: Iterable[Row]) -> list[str]:
    """Return one sentence for each job without a result."""
    return [f"{_job_name(row)}: {why}" for row in rows if (why := problem(row)) is not None]


def _job_name(row: Row) -> str:
    known = " ".join(f"{name}={row[name]}" for name in _NAMING if name in row)
    return str(row.get("job") or known or row.get("run_dir") or "a job")


def markdown(rows: Sequence[Row]) -> str:
    """Return the table and the failures as Markdown."""
    heads, lines = _cells(table(rows))
    parts = []
    if lines:
        drawn = [heads, ["---"] * len(heads), *lines]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in drawn))
        parts.append("Fractions: mean ± sample standard deviation over n seeds.")
    if failed := failures(rows):
        parts.append("Without a result:\n\n" + "\n".join(f"- {one}" for one in failed))
    return "\n\n".join(parts) + "\n"


def write_tables(rows: Sequence[Row], folder: str | Path) -> None:
    """Write `results.csv`, one line a job, and `table.md`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = dict.fromkeys(name for row in rows for name in row)
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "table.md").write_text(markdown(rows))


def write(rows: Sequence[Row], folder: str | Path, console: Console | None = None) -> None:
    """Write the tables and `sweep.png`, and print the table."""
    write_tables(rows, folder)
    # a log file has no width: keep a line of the table one line
    console = console or Console(width=None if sys.stdout.isatty() else 160)
    if counted := distinct(rows):
        draw_sweep(counted, Path(folder) / "sweep.png")
        heads, lines = _cells(table(rows))
        printed = Table(*heads)
        for line in lines:
            printed.add_row(*line)
        console.print(printed)
    for one in failures(rows):
        console.print(f"Without a result: {one}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written to {folder}", markup=False, highlight=False, soft_wrap=True)
