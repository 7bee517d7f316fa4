"""The table of a comparison: means over seeds, as CSV, Markdown and on the terminal."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datamodules.atomic import write_text
from datamodules.phrases import printable
from datamodules.tables import table_writer
from runs.comparison import SETTING_COLUMNS, Comparison
from runs.rows import Row

Entry = dict[str, Any]

_TEST_SETS = "Accuracies on different test sets do not compare"

_GROUPED_BY = (*SETTING_COLUMNS, "settings")
# What is measured: its column head, its format, and whether its standard deviation is shown.
_MEASURES = {
    "test/acc_last": ("test acc, last", "{:.4f}", True),
    "test/acc_best_oracle": ("best, oracle", "{:.4f}", True),
    "noise/auroc": ("AUROC", "{:.3f}", True),
    "noise/ap": ("AP", "{:.3f}", True),
    "noise/effective_rate": ("effective\nnoise", "{:.3f}", False),
    "steps": ("steps", "{:.0f}", False),
    "seconds": ("seconds", "{:.0f}", False),
}
# The columns that are hidden in a narrow terminal, in this order.
_HIDDEN_FIRST = (
    "seconds", "test/acc_best_oracle", "noise/ap", "steps", "noise/effective_rate", "noise/auroc"
)  # fmt: skip


def summarise(rows: Iterable[Row]) -> list[Entry]:
    """Return one entry for each data set, noise rate, method, model and set of other settings.

    Args:
        rows: those that count, with `settings` as text.

    Returns:
        Sorted entries: the keys, `n`, and for each measured quantity its mean over seeds, and its
        sample standard deviation under the same name with `/sd` (None for one seed).
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(name) for name in _GROUPED_BY), []).append(row)
    entries = []
    for key, members in sorted(groups.items(), key=lambda item: tuple(map(natural_order, item[0]))):
        entry: Entry = {**dict(zip(_GROUPED_BY, key, strict=True)), "n": len(members)}
        for name in _MEASURES:
            values = [float(row[name]) for row in members if row.get(name) is not None]
            entry[name] = statistics.mean(values) if values else None
            entry[f"{name}/sd"] = statistics.stdev(values) if len(values) > 1 else None
        entries.append(entry)
    return entries


def natural_order(value: Any) -> tuple[Any, ...]:
    """Return a sort key by which numbers, also within text, sort by value, and None last."""
    if value is None:
        return (2,)
    if isinstance(value, int | float):
        return (0, value)
    parts = re.split(r"(\d+\.?\d*)", str(value))
    return (1, *(float(part) if position % 2 else part for position, part in enumerate(parts)))


def _heads_and_lines(entries: Sequence[Entry]) -> tuple[list[str], list[list[str]]]:
    """Return heads and lines of the columns that have a value in any entry."""
    heads = {**{key: key for key in _GROUPED_BY}, "n": "n"}
    heads |= {name: head for name, (head, _, _) in _MEASURES.items()}
    shown = [name for name in heads if any(entry.get(name) not in (None, "") for entry in entries)]
    lines = [[_cell(entry, name) for name in shown] for entry in entries]
    return [heads[name] for name in shown], lines


def _cell(entry: Entry, name: str) -> str:
    if entry[name] is None:
        return ""
    if name not in _MEASURES:
        return str(entry[name])
    _, number_format, with_spread = _MEASURES[name]
    spread = entry[f"{name}/sd"] if with_spread else None
    return number_format.format(entry[name]) + (
        f" ± {number_format.format(spread)}" if spread is not None else ""
    )


def markdown(compared: Comparison) -> str:
    """Return the table, the usual settings, and what does not compare or count, as Markdown."""
    heads, lines = _heads_and_lines(summarise(compared.counted))
    parts = []
    if lines:
        table_lines = [[head.replace("\n", " ") for head in heads], ["---"] * len(heads), *lines]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in table_lines))
        parts.append("Fractions: mean ± sample standard deviation over n seeds.")
    if compared.usual:
        parts.append(_markdown_list("Where no setting is named", compared.usual))
    if compared.test_sets:
        parts.append(_markdown_list(_TEST_SETS, compared.test_sets))
    if compared.not_counted:
        parts.append(_markdown_list("Not counted", compared.not_counted))
    return "\n\n".join(parts) + "\n"


def _markdown_list(head: str, lines: Sequence[str]) -> str:
    return f"{head}:\n\n" + "\n".join(f"- {line}" for line in lines)


def print_table(compared: Comparison, console: Console) -> None:
    """Print the table, with as many columns as fit, and which runs do not count."""
    entries = summarise(compared.counted)
    hidden: list[str] = []
    for name in [
        line for line in _HIDDEN_FIRST if any(entry[line] is not None for entry in entries)
    ]:
        if _minimum_width(entries, console) <= console.width:
            break
        entries = [{**entry, name: None} for entry in entries]
        hidden.append(_MEASURES[name][0].replace("\n", " "))
    if entries:
        # let the terminal break lines rather than cut off digits
        console.width = max(console.width, _minimum_width(entries, console))
        console.print(_terminal_table(entries))
    for head, lines in (
        ("Too wide for here, but in table.md", hidden and ["; ".join(hidden)]),
        ("Where no setting is named", compared.usual),
        (_TEST_SETS, compared.test_sets),
        ("Not counted", compared.not_counted),
    ):
        for line in map(printable, lines):
            console.print(f"{head}: {line}", markup=False, highlight=False, soft_wrap=True)


def _minimum_width(entries: Sequence[Entry], console: Console) -> int:
    boundless = console.options.update(width=10_000)
    return console.measure(_terminal_table(entries), options=boundless).minimum


def _terminal_table(entries: Sequence[Entry]) -> Table:
    """Return the table for a terminal; only `settings` may wrap."""
    heads, lines = _heads_and_lines(entries)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column, head in enumerate(heads):
        column_text = "\n".join([head, *(line[column] for line in lines)])
        table.add_column(
            head,
            justify="left" if head in _GROUPED_BY else "right",
            no_wrap=head != "settings",
            min_width=None if head == "settings" else max(map(len, column_text.split("\n"))),
            max_width=32 if head == "settings" else None,
            overflow="fold",
        )
    for line in lines:
        table.add_row(*(escape(printable(cell)) for cell in line))
    return table


def write_tables(compared: Comparison, folder: Path) -> None:
    """Write `results.csv`, one line per run, and the table as `table.csv` and `table.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(compared.rows, folder / "results.csv")
    write_rows(summarise(compared.counted), folder / "table.csv")
    write_text(folder / "table.md", markdown(compared))


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows as CSV, with a column for each name in any of them."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with table_writer(path, columns) as writer:
        writer.writerows([row.get(name) for name in columns] for row in rows)
