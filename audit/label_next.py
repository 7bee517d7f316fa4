"""Which examples to check next: a list to fill in, which then enlarges the probe.

They are drawn at random, and classes take turns (by suggested class). The probe stands for clean
data, and a random sample is what represents them; it says, too, how many labels are wrong. What is
usual in active learning, to ask where the network is unsure, makes a probe of odd examples, which
weighs the noisy ones badly. `benchmarks/check_next.py` sets six ways to choose side by side. (To
mend labels, not to enlarge the probe, `labels.csv` has the order.)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.record import Audit, Rows
from datamodules.randomness import numpy_generator
from datamodules.split import interleaved
from datamodules.tables import writing_table


def choose(audit: Audit, count: int, seed: int) -> Rows:
    """Return rows of the audit to check, (count,) or all there are.

    Args:
        audit: of the examples to choose from.
        count: how many are wanted.
        seed: of the run.
    """
    shuffled = numpy_generator(seed, "label next").permutation(len(audit.index))
    return interleaved(shuffled, audit.suggested)[:count]


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
    where = "index" if files is None else "path"
    columns = [where, "true_label", "given_label", "suggested_label", "trust"]
    with writing_table(path, columns) as table:
        for row in rows.tolist():
            index = int(audit.index[row])
            place: Any = index if files is None else files[index]
            given, suggested = class_names[audit.given[row]], class_names[audit.suggested[row]]
            table.writerow([place, "", given, suggested, f"{audit.trust[row]:.6f}"])
