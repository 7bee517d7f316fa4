"""A cleaned list of labels: which to replace, which to leave out, and how sure that is.

The rule. A label is *kept* where trust is 1/2 or more. Below, another class is believed in, and it
is *replaced* by the suggestion where the network is at least as confident of it as asked
(`audit.confidence`), and otherwise the example is *left out*, because the given label is probably
wrong and nobody can say what would be right. The expected precision is the mean confidence of what
is replaced: the share of the replacements that should be right.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audit.record import Audit, Mask, Rows
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.tables import writing_table

LEFT_OUT = -1

_COLUMNS = ("label", "split", "trusted", "true_label", "given_label", "confidence", "action")


class Cleaned(NamedTuple):
    """What becomes of M labels."""

    label: Rows  # (M,) to be trained on, or LEFT_OUT
    replaced: Mask  # (M,)
    expected_precision: float | None  # of what is replaced; None where nothing is

    @property
    def left_out(self) -> Mask:
        """Which examples are left out."""
        return self.label == LEFT_OUT


def clean(audit: Audit, confidence: float) -> Cleaned:
    """Return cleaned labels by the rule above.

    Args:
        audit: of M examples.
        confidence: what a suggestion needs, in [0, 1].
    """
    doubted = audit.suspicious
    replaced = doubted & (audit.suggested != audit.given) & (audit.confidence >= confidence)
    label = np.where(replaced, audit.suggested, np.where(doubted, LEFT_OUT, audit.given))
    expected = float(audit.confidence[replaced].mean()) if replaced.any() else None
    return Cleaned(label, replaced, expected)


def summary(cleaned: Cleaned, audit: Audit) -> dict[str, Any]:
    """Return `cleaned/…` for the results; what needs the truth only where some is known."""
    facts: dict[str, Any] = {
        "cleaned/replaced": int(cleaned.replaced.sum()),
        "cleaned/left_out": int(cleaned.left_out.sum()),
        "cleaned/expected_precision": cleaned.expected_precision,
    }
    right = cleaned.label == audit.clean
    # nobody can say whether another label is right where only one is known to be wrong
    judged = audit.known & ~cleaned.left_out & ~(cleaned.replaced & (audit.clean == KNOWN_WRONG))
    if judged.any():
        facts["cleaned/noise_before"] = float(audit.wrong[audit.known].mean())
        facts["cleaned/noise_after"] = float(1 - right[judged].mean())
    if (judged & cleaned.replaced).any():
        facts["cleaned/precision"] = float(right[judged & cleaned.replaced].mean())
    return facts


def manifest(cleaned: Cleaned, audit: Audit, drawn: Manifest, confidence: float) -> Manifest:
    """Return the draws of a run with cleaned labels, its probe as it was.

    Examples that the audit does not know stay as they are.
    """
    of_row = dict(zip(audit.index.tolist(), cleaned.label.tolist(), strict=True))
    before = zip(drawn.train_rows.tolist(), drawn.given.tolist(), strict=True)
    given = np.array([of_row.get(row, label) for row, label in before], dtype=np.int64)
    used = given != LEFT_OUT
    return Manifest(
        settings={
            **drawn.settings,
            "noise_model": "cleaned",
            "nominal_noise": None,
            "cleaned_from": drawn.hash,
            "confidence": confidence,
        },
        class_names=drawn.class_names,
        train_rows=drawn.train_rows[used],
        given=given[used],
        clean=drawn.clean[used],
        probe_rows=drawn.probe_rows,
        probe_label=drawn.probe_label,
    )


Tested = Sequence[tuple[str, int, bool]]


def write_csv(
    path: Path,
    cleaned: Cleaned,
    audit: Audit,
    drawn: Manifest,
    files: Sequence[str] | None,
    tested: Tested = (),
) -> None:
    """Write a row for each example: noisy ones, the probe, and where they are files, the test.

    Args:
        path: of the file to write.
        cleaned: what becomes of the noisy labels.
        audit: what it was made from.
        drawn: brings the probe, and the names of the classes.
        files: path of each row of the training list: then the table is one that `dataset=folder
            labels=` reads, which does not train on a row without a label.
        tested: path and label of what is tested on, and whether that is known to be right.
    """
    name = {LEFT_OUT: "", UNKNOWN: "", KNOWN_WRONG: "", **dict(enumerate(drawn.class_names))}
    columns = ["index" if files is None else "path", *_COLUMNS]
    with writing_table(path, columns) as table:
        for row, label, split, trusted, true, given, sure, action in _rows(cleaned, audit, drawn):
            place = row if files is None else files[row]
            table.writerow(
                [place, name[label], split, trusted, name[true], name[given], sure, action]
            )
        for picture, label, known in tested:
            true = label if known else UNKNOWN
            table.writerow([picture, name[label], "test", "no", name[true], "", "", "tested on"])


_Row = tuple[int, int, str, str, int, int, str, str]


def _rows(cleaned: Cleaned, audit: Audit, drawn: Manifest) -> Iterator[_Row]:
    """Yield row, label, split, whether trusted, true and given label, confidence and action."""
    for place, row in enumerate(audit.index):
        label = int(cleaned.label[place])
        action = "left out" if label == LEFT_OUT else "kept"
        if cleaned.replaced[place]:
            action = "replaced"
        true, given = int(audit.clean[place]), int(audit.given[place])
        yield int(row), label, "train", "no", true, given, f"{audit.confidence[place]:.4f}", action
    for row, label in zip(drawn.probe_rows, drawn.probe_label, strict=True):
        yield int(row), int(label), "train", "yes", int(label), UNKNOWN, "", "trusted"
