"""Which examples to check next: a list to fill in, which then enlarges the probe.

Classes take turns (by suggested class), so that the probe stays balanced.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit.record import Audit, Rows
from datamodules.atomic import replacing
from datamodules.split import interleaved

POLICIES = {
    "random": lambda audit: np.random.default_rng(0).random(len(audit.trust)),
    "suspicious": lambda audit: audit.trust,
    "ambiguous": lambda audit: abs(audit.trust - 0.5),
    "unsure": lambda audit: audit.confidence,
    "sure": lambda audit: -audit.confidence,
    "trusted": lambda audit: -audit.trust,
    "sure_suspicious": lambda audit: np.where(
        audit.suspicious, -audit.confidence, 1 - audit.trust * 0
    ),
}


def choose(audit: Audit, count: int, policy: str = "ambiguous") -> Rows:
    order = np.argsort(POLICIES[policy](audit), kind="stable")
    return interleaved(order, audit.suggested)[:count]


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
