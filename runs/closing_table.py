"""The short table that ends a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audit.files import CLEANED, LABELS, NEXT, TESTED, part_seen
from datamodules.split import CHECKED
from datamodules.unreadable import FILE as UNREADABLE
from report.headline import tested_on
from runs.loggers import sync_hint

Results = dict[str, Any]


def print_closing_table(results: Results, folder: Path, console: Console | None = None) -> None:
    """Print the short table that ends a run."""
    console = console or Console()
    if not console.is_terminal:
        console.width = 120
    table = Table(show_header=False, title="Result" if results["finished"] else "Result so far")
    table.add_column(style="bold")
    table.add_column(overflow="fold")

    def add_row(name: str, key: str, text: str = "{:.2%}", note: str = "") -> None:
        if results.get(key) is not None:
            table.add_row(name, text.format(results[key]) + note)

    add_row("test accuracy, last", "test/acc_last", note=f"  {tested_on(results)}")
    add_row("test accuracy, top 5", "test/top5_last")
    add_row("… mean over classes", "test/acc_balanced_last")
    add_row("test calibration error", "test/ece_last", "{:.4f}")
    for key in results:
        name, _, metric = key.partition("/")
        if name != "test" and metric in ("acc_last", "top5_last"):
            note = f"  of {results['data/tested_checked']:,} images" if name == CHECKED else ""
            add_row(
                f"{name} accuracy, {'last' if metric == 'acc_last' else 'top 5'}", key, note=note
            )
    if results.get("test/step_cycle_end") not in (None, results["steps"]):
        note = f"  (step {results['test/step_cycle_end']}, cycle_end.ckpt)"
        add_row("… at the last cycle's end", "test/acc_cycle_end", note=note)
    best = f"  (step {results.get('test/step_best_oracle')}; chosen by test data, not a result)"
    add_row("test accuracy, best", "test/acc_best_oracle", note=best)
    for name, metric in _label_rows(results):
        table.add_row(name, metric)
    add_row("steps", "steps", "{:,}", f"  ({results['epochs']:g} epochs)")
    add_row("time", "seconds", "{:,.0f} s", f"  ({results.get('images_per_second')} images/s)")
    if results["data/unreadable"]:
        row = f"{results['data/unreadable']:,} pictures, shown as grey: {folder / UNREADABLE}"
        table.add_row("not readable", row)
    table.add_row("picture", str(folder / "figures" / "run.png"))
    table.add_row("report", str(folder / "report.html"))
    table.add_row("suspicious labels", str(folder / LABELS))
    if results.get("data/tested_suspicious") is not None:
        table.add_row("unchecked test labels", str(folder / TESTED))
    table.add_row("cleaned labels", str(folder / CLEANED))
    table.add_row("labels to check next", str(folder / NEXT))
    table.add_row("everything", str(folder))
    console.print(table)
    if hint := sync_hint(folder):
        console.print(hint, soft_wrap=True, highlight=False)


def _label_rows(results: Results) -> Iterator[tuple[str, str]]:
    """Yield the rows about the labels, each as (name, text)."""
    rate, part = results["noise/effective_rate"], part_seen(results)
    if part:
        yield "labels seen", f"{part}: all shares are of these; mode=audit looks at all"
    if (area := results.get("noise/auroc")) is not None:
        weight = results.get("noise/auroc_weight")
        also = "" if weight is None else f", by example weight {weight:.4f}"
        yield "wrong labels found, AUROC", f"{area:.4f}  by trust score{also}"
    elif rate is None:
        yield "wrong labels found", "not known: no true labels are given to compare with"
    elif not rate:
        yield "wrong labels found", "there are none to find"
    share = results.get("noise/suspicious_share")
    if share is not None:
        known = [
            f"{results[f'noise/suspicious_{quantity}']:.1%} {words}"
            for quantity, words in (
                ("precision", "of them are wrong"),
                ("recall", "of all wrong ones"),
            )
            if results.get(f"noise/suspicious_{quantity}") is not None
        ]
        labels = "labels seen" if part else "labels"
        yield (
            "suspicious",
            f"{share:.1%} of the {labels}"
            + "".join(f", {sentence_part}" for sentence_part in known),
        )
    if results.get("cleaned/replaced") is not None:
        words = f"{results['cleaned/replaced']:,} replaced"
        if (expected := results["cleaned/expected_precision"]) is not None:
            words += f" (expected to be right: {expected:.1%}"
            right = results.get("cleaned/precision")
            words += ")" if right is None else f", are: {right:.1%})"
        yield "cleaned", words + f", {results['cleaned/left_out']:,} left out"
    if results.get("cleaned/noise_after") is not None:
        before, after = results["cleaned/noise_before"], results["cleaned/noise_after"]
        yield "… wrong labels", f"{before:.1%} before, {after:.1%} after"
