"""Which of the user's own pictures are held out of training to test on, without a test split."""

import hashlib
from collections.abc import Sequence

import numpy as np

from datamodules.folder_rows import PictureRow
from datamodules.noise import Labels
from datamodules.phrases import first_few
from datamodules.picture_lists import portable_path
from datamodules.split import Mask


def choose_held_out(
    rows: Sequence[PictureRow], label: Labels, trusted: Mask, names: Sequence[str], share: float
) -> tuple[Mask, list[str]]:
    """Return which rows are held out, (N,), and notes for the user; see `Folder` for the rule.

    Args:
        rows: the N pictures.
        label: their true classes, or else the given ones (N,), below 0 where there is none.
        trusted: (N,) which labels are trusted.
        names: of the classes.
        share: of the rows to hold out.
    """
    count = np.bincount(label[trusted], minlength=len(names))
    was_tested = np.array([row.was_tested for row in rows]) & (label >= 0)
    has_enough = bool((count * share >= 1).mean() >= 0.5)
    from_trusted = has_enough and not was_tested.any()
    candidate = trusted if from_trusted else label >= 0
    test, untested = was_tested.copy(), []
    for class_index, name in enumerate(names):
        class_rows = np.flatnonzero(candidate & (label == class_index))
        name_hash = np.array([_name_hash(rows[row].path) for row in class_rows.tolist()])
        is_tested = test[class_rows]
        num_wanted = max(1, int((is_tested | (name_hash < share)).sum()))
        num_test = min(num_wanted, len(class_rows) - 1)  # one at least is trained on
        tested_first = np.lexsort((name_hash, ~is_tested))
        test[class_rows[tested_first[: max(num_test, 0)]]] = True
        if not test[class_rows].any():
            untested.append(name)
    num_known = int((test & trusted).sum())
    notes = [
        f"no test split is given: {test.sum():,} pictures are held out of training to test on, "
        f"{num_known:,} of them with trusted labels"
        + ("" if num_known == test.sum() else "; the others may be labelled wrongly")
    ]
    if untested:
        notes.append(
            f"NOTE: {len(untested)} of {len(names)} classes have too few pictures to test on: "
            f"{first_few(untested)}"
        )
    return test, notes


def _name_hash(path: str) -> float:
    """Return where in [0, 1) a picture stands, by its name alone."""
    digest = hashlib.sha256(portable_path(path).encode("utf-8", "surrogateescape")).digest()
    return float(int.from_bytes(digest[:6], "big") / 2**48)
