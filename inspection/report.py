"""The output of `mode=check`, on the terminal and in a folder that is not a run's."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.atomic import write_text
from datamodules.phrases import printable
from datamodules.tables import table_writer
from inspection.class_counts import Row
from inspection.findings import Findings, Problem

CHECK, PROBLEMS = "check.json", "check_problems.csv"

# Classes shown on the terminal; the file has all.
_CLASSES_SHOWN = 30


def check_folder(name: str) -> Path:
    """Return the folder for the findings about a data set; each job of a multirun has its own."""
    job = ""
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        job = f"-{HydraConfig.get().job.num}"
    return Path("outputs") / f"check-{name}{job}"


def write_findings(findings: Findings, facts: dict[str, Any], folder: Path) -> None:
    """Write `check.json` and `check_problems.csv`.

    Args:
        findings: what was found.
        facts: further entries of `check.json`.
        folder: where to write; made if needed.

    Raises:
        ValueError: if the folder cannot be written.
    """
    content = {
        **facts,
        "would_start": not findings.errors,
        "errors": findings.errors,
        "warnings": [warning.sentence for warning in findings.warnings],
        "notes": findings.notes,
        **findings.facts,
        "classes": findings.classes,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / CHECK, json.dumps(content, indent=2))
        with table_writer(folder / PROBLEMS, Problem._fields) as rows:
            rows.writerows(findings.problems)
    except OSError as error:
        raise ValueError(
            f"{folder} cannot be written ({error.strerror}): start from a folder that can."
        ) from None


def print_findings(findings: Findings, folder: Path, console: Console) -> None:
    """Print counts, notes, warnings, and where the files are; not the errors."""
    if not console.is_terminal:
        console.width = 120
    console.print(class_table(findings.classes, findings.splits))
    lines = list(findings.notes)
    for sentence, examples in findings.warnings:
        lines += [f"warning: {sentence}", *(f"  {example}" for example in examples)]
    lines.append(f"all that was found: {folder / CHECK}")
    if findings.problems:
        lines.append(f"lines on single pictures, {len(findings.problems):,}: {folder / PROBLEMS}")
    for line in lines:
        console.print(printable(line), soft_wrap=True, highlight=False, markup=False)


def class_table(rows: Sequence[Row], splits: Sequence[str]) -> Table:
    """Return the table of classes; if there are many, of those with the fewest noisy examples."""
    table = Table(title="Examples of each class")
    table.add_column("class", overflow="fold")
    wrong_columns = [
        (key, title)
        for key, title in (
            ("wrong_of_given", "wrong of those given it"),
            ("wrong_of_true", "wrong of those that are it"),
        )
        if any(row[key] is not None for row in rows)
    ]
    for title in (*splits, *(title for _, title in wrong_columns)):
        table.add_column(escape(title), justify="right")
    shown = list(rows)
    if len(rows) > _CLASSES_SHOWN:
        shown = sorted(rows, key=lambda row: int(row[splits[0]] or 0))[:_CLASSES_SHOWN]
    for row in shown:
        shares = ["" if row[key] is None else f"{row[key]:.1%}" for key, _ in wrong_columns]
        cells = [f"{row[split]:,}" for split in splits]
        table.add_row(escape(printable(str(row["class"]))), *cells, *shares)
    if len(rows) > len(shown):
        not_shown = [row for row in rows if row not in shown]
        ranges = [
            f"{min(int(row[split] or 0) for row in not_shown):,} to "
            f"{max(int(row[split] or 0) for row in not_shown):,}"
            for split in splits
        ]
        table.add_row(f"{len(not_shown):,} more", *ranges)
    table.add_section()
    totals = [f"{sum(int(row[split] or 0) for row in rows):,}" for split in splits]
    table.add_row("all", *totals)
    return table
