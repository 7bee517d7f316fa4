"""A cleaned list of labels: which to replace, which to leave out, and how sure that is.

The rule: a label is *kept* if its trust is 1/2 or more. Below, it is *replaced* by the suggestion
if that is another class of at least the required confidence (`audit.confidence`). Otherwise the
example is *left out*: its label is probably wrong, and no other is sure enough. The expected
precision, the share of replacements that should be right, is their mean confidence.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit, Mask, Rows
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest

LEFT_OUT = -1

Objects = NDArray[np.object_]


class Cleaned(NamedTuple):
    """M labels after cleaning."""

    label: Rows  # (M,) the label to train on, or LEFT_OUT
    replaced: Mask  # (M,)
    expected_precision: float | None  # of the replacements; None if there are none

    @property
    def left_out(self) -> Mask:
        """Which examples are left out."""
        return self.label == LEFT_OUT


def clean(audit: Audit, confidence: float) -> Cleaned:
    """Return cleaned labels by the rule above.

    Args:
        audit: of M examples.
        confidence: the least that a suggestion needs, in [0, 1].
    """
    doubted = audit.suspicious
    replaced = doubted & (audit.suggested != audit.given) & (audit.confidence >= confidence)
    label = np.where(replaced, audit.suggested, np.where(doubted, LEFT_OUT, audit.given))
    expected = float(audit.confidence[replaced].mean()) if replaced.any() else None
    return Cleaned(label, replaced, expected)


def summary(cleaned: Cleaned, audit: Audit) -> dict[str, Any]:
    """Return the results `cleaned/…`; those that need the truth only if some of it is known."""
    facts: dict[str, Any] = {
        "cleaned/replaced": int(cleaned.replaced.sum()),
        "cleaned/left_out": int(cleaned.left_out.sum()),
        "cleaned/expected_precision": cleaned.expected_precision,
    }
    right = cleaned.label == audit.clean
    # where all that is known is that the given label is wrong, a replacement cannot be judged
    judged = audit.known & ~cleaned.left_out & ~(cleaned.replaced & (audit.clean == KNOWN_WRONG))
    if judged.any():
        facts["cleaned/noise_before"] = float(audit.wrong[audit.known].mean())
        facts["cleaned/noise_after"] = float(1 - right[judged].mean())
    if (judged & cleaned.replaced).any():
        facts["cleaned/precision"] = float(right[judged & cleaned.replaced].mean())
    return facts


def manifest(cleaned: Cleaned, audit: Audit, drawn: Manifest, confidence: float) -> Manifest:
    """Return the draws of a run with cleaned labels and the same probe set.

    Noisy examples that are not in the audit keep their labels.
    """
    given = drawn.given.copy()
    given[np.isin(drawn.train_rows, audit.index)] = cleaned.label  # both have the same order
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


def columns(
    cleaned: Cleaned,
    audit: Audit,
    drawn: Manifest,
    files: Sequence[str] | None,
    tested: Tested = (),
) -> dict[str, Any]:
    """Return the columns of a table: the audited noisy examples, the probe set, the test pictures.

    Args:
        cleaned: the noisy labels after cleaning.
        audit: what they were made from.
        drawn: has the probe set and the class names.
        files: path of each row of the training list, if it has files: `dataset=folder labels=` can
            then read the table, and does not train on a row without a label.
        tested: path and label of each test picture, and whether the label is known to be right.
    """
    groups = len(audit.index), len(drawn.probe_rows), len(tested)
    rows = np.concatenate([audit.index, drawn.probe_rows]).tolist()
    places = rows if files is None else [files[row] for row in rows]
    pictures, test_label, is_right = zip(*tested, strict=True) if tested else ((), (), ())
    named = np.array([*drawn.class_names, ""], dtype=object)

    def names(*labels: Any) -> Objects:
        label = np.concatenate(labels).astype(np.int64)
        return named[np.where(label < 0, -1, label)]

    def alike(*values: str) -> Objects:
        return np.repeat(np.array(values, dtype=object), groups)

    nothing = np.full(sum(groups[1:]), UNKNOWN)
    action = alike("kept", "trusted", "tested on")
    action[: groups[0]][cleaned.replaced] = "replaced"
    action[: groups[0]][cleaned.left_out] = "left out"
    return {
        "index" if files is None else "path": [*places, *pictures],
        "label": names(cleaned.label, drawn.probe_label, test_label),
        "split": alike("train", "train", "test"),
        "trusted": alike("no", "yes", "no"),
        "true_label": names(
            audit.clean, drawn.probe_label, np.where(is_right, test_label, UNKNOWN)
        ),
        "given_label": names(audit.given, nothing),
        "confidence": np.concatenate([audit.confidence, np.full(len(nothing), np.nan)]),
        "action": action,
    }
