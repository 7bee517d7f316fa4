"""Which examples to check next: a list for the user to fill in, which then enlarges the probe set.

They are drawn at random, the suggested classes in turn. The probe set stands for clean data, and a
random sample represents them; it also shows how many labels are wrong. The usual choice of active
learning, what the network is unsure of, makes a probe set of odd examples, which weighs the noisy
ones badly. `benchmarks/check_next.py` compares six ways to choose. (To correct labels rather than
enlarge the probe set, go through `labels.csv` from the top.)

Test labels that nobody checked are another matter: they are checked to be corrected, so the least
trusted are listed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit.record import Audit, Integers
from datamodules.randomness import numpy_generator
from datamodules.split import insert_every, interleave_classes
from datamodules.tables import table_writer

# Of so many labels to check, one is a test label, if there are any that nobody checked.
TESTED_EVERY = 5

Entry = list[Any]  # cells of a row, but for `tested`


def choose(audit: Audit, count: int, seed: int) -> Integers:
    """Return rows of the audit to check, (count,), or all of them if there are fewer.

    Args:
        audit: of the examples to choose from.
        count: how many are wanted.
        seed: of the run.
    """
    shuffled = numpy_generator(seed, "label next").permutation(len(audit.index))
    return interleave_classes(shuffled, audit.suggested)[:count]


def choose_tested(tested: Audit, count: int) -> Integers:
    """Return rows of the audit of test labels to check: the least trusted, a share of the list.

    Args:
        tested: of the test labels that nobody checked.
        count: length of the whole list.
    """
    return tested.order[: count // TESTED_EVERY]


def list_entries(
    rows: Integers, audit: Audit, class_names: Sequence[str], files: Sequence[str] | None
) -> list[Entry]:
    """Return the list's entries for rows of an audit, in their order.

    Args:
        rows: of the audit.
        audit: what they were chosen from.
        class_names: of the C classes.
        files: path of each row of the examples' list, if it has files.
    """
    entries: list[Entry] = []
    for row in rows.tolist():
        index = int(audit.index[row])
        location: Any = index if files is None else files[index]
        given, suggested = class_names[audit.given[row]], class_names[audit.suggested[row]]
        entries.append([location, "", given, suggested, f"{audit.trust[row]:.6f}"])
    return entries


def write_csv(path: Path, key: str, training: Sequence[Entry], tested: Sequence[Entry]) -> None:
    """Write the list with an empty column `true_label`; filled in, `dataset.trusted=` reads it.

    Test pictures are spread over the list, so that they are checked too by who does not finish it.
    If there are any, a column `tested` says which they are, and keeps them there (see `Folder`).

    Args:
        path: of the file to write.
        key: what names an example: `path`, or `index`.
        training: entries of training examples, in order.
        tested: entries of test pictures, in order.
    """
    columns = [key, "true_label", "given_label", "suggested_label", "trust"]
    entries = list(training)
    if tested:
        columns.append("tested")
        entries = [[*entry, "no"] for entry in training]
        entries = insert_every(TESTED_EVERY, [[*entry, "yes"] for entry in tested], entries)
    with table_writer(path, columns) as table:
        table.writerows(entries)
