"""Which examples to check next: a list to fill in, which then enlarges the probe.

The policy: suspicious labels, those first of whose suggestion the network is surest; where there
are no more of them, the surest of the others. Classes take turns (by suggested class), so that the
probe stays balanced. Such examples are typical of the class they really are of, which is what a
probe needs, and checking them takes wrong labels out of training. What is usual in active learning,
to ask where the network is unsure, harms here: a small probe of odd examples weighs the noisy ones
badly (docs/audit.md has the measurements, benchmarks/check_next.py makes them).
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.record import Audit, Rows
from datamodules.atomic import replacing
from datamodules.split import interleaved


def choose(audit: Audit, count: int) -> Rows:
    """Return rows of the audit, (count,) or all there are, the most useful to check first."""
    surest_first = np.lexsort([-audit.confidence, ~audit.suspicious])
    return interleaved(surest_first, audit.suggested)[:count]


def write_csv(
    path: Path,
    rows: Rows,
    audit: Audit,
    class_names: Sequence[str],
    files: Sequence[str] | None,
) -> None:
    """Write the list, its column `true_label` empty: `dataset.trusted=` reads it, filled in.

    Args:
        path: of the file to write.
        rows: of the audit, in order.
        audit: what it was made from.
        class_names: of the C classes.
        files: path of each row of the training list, where there are such.
    """
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file)
        where = "index" if files is None else "path"
        writer.writerow([where, "true_label", "given_label", "suggested_label", "trust"])
        for row in rows.tolist():
            index = int(audit.index[row])
            place: Any = index if files is None else files[index]
            given, suggested = class_names[audit.given[row]], class_names[audit.suggested[row]]
            writer.writerow([place, "", given, suggested, f"{audit.trust[row]:.6f}"])
