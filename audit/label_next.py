"""Which examples to check next: a list for the user to fill in, which then enlarges the probe set.

They are drawn at random, the suggested classes in turn. The probe set stands for clean data, and a
random sample represents them; it also shows how many labels are wrong. The usual choice of active
learning, what the network is unsure of, makes a probe set of odd examples, which weighs the noisy
ones badly. `benchmarks/check_next.py` compares six ways to choose. (To correct labels rather than
enlarge the probe set, go through `labels.csv` from the top.)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.record import Audit, Integers
from datamodules.randomness import numpy_generator
from datamodules.split import interleave_classes
from datamodules.tables import table_writer


def choose(audit: Audit, count: int, seed: int) -> Integers:
    """Return rows of the audit to check, (count,), or all of them if there are fewer.

    Args:
        audit: of the examples to choose from.
        count: how many are wanted.
        seed: of the run.
    """
    shuffled = numpy_generator(seed, "label next").permutation(len(audit.index))
    return interleave_classes(shuffled, audit.suggested)[:count]


def write_csv(
    path: Path,
    rows: Integers,
    audit: Audit,
    class_names: Sequence[str],
    files: Sequence[str] | None,
) -> None:
    """Write the list with an empty column `true_label`; filled in, `dataset.trusted=` reads it.

    Args:
        path: of the file to write.
        rows: of the audit, in the order of the list.
        audit: what they were chosen from.
        class_names: of the C classes.
        files: path of each row of the training list, if it has files.
    """
    key = "index" if files is None else "path"
    columns = [key, "true_label", "given_label", "suggested_label", "trust"]
    with table_writer(path, columns) as table:
        for row in rows.tolist():
            index = int(audit.index[row])
            location: Any = index if files is None else files[index]
            given, suggested = class_names[audit.given[row]], class_names[audit.suggested[row]]
            table.writerow([location, "", given, suggested, f"{audit.trust[row]:.6f}"])
