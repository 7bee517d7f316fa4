"""A cleaned list of labels: which to replace, which to leave out, and how sure that is.

The rule: a label is *kept* if its trust is 1/2 or more. Below, it is *replaced* by the suggestion
if that is another class of at least the required confidence (`audit.confidence`). Otherwise the
example is *left out*: its label is probably wrong, and no other is sure enough. The expected
precision, the share of replacements that should be right, is their mean confidence.

Examples that a short run did not see are *not seen* and keep their label. Pictures that cannot be
read are left out as *not readable*. Labels that the user checked are *trusted*, whatever the
network says. Any other knowledge of true labels, as of drawn noise, is not used: it measures what
cleaning is worth.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit, Mask, Rows
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.split import NONE_CHECKED, Checked

LEFT_OUT = -1

TRUSTED = "trusted"

Objects = NDArray[np.object_]


class Cleaned(NamedTuple):
    """M labels after cleaning by the rule."""

    label: Rows  # (M,) the label to train on, or LEFT_OUT
    replaced: Mask  # (M,)

    @property
    def left_out(self) -> Mask:
        """Which examples are left out."""
        return self.label == LEFT_OUT


class Listed(NamedTuple):
    """What becomes of all N noisy examples of a run, in the order of its draws."""

    label: Rows  # (N,) to be trained on, or LEFT_OUT
    clean: Rows  # (N,) the true one, UNKNOWN, or KNOWN_WRONG
    action: Objects  # (N,) what was done, in a word
    seen: Mask  # (N,) which of them the audit knows
    others: Checked  # what the user vouches for and the draws left out


def clean(audit: Audit, confidence: float) -> Cleaned:
    """Return cleaned labels by the rule above.

    Args:
        audit: of M examples.
        confidence: the least that a suggestion needs, in [0, 1].
    """
    doubted = audit.suspicious
    replaced = doubted & (audit.suggested != audit.given) & (audit.confidence >= confidence)
    label = np.where(replaced, audit.suggested, np.where(doubted, LEFT_OUT, audit.given))
    return Cleaned(label, replaced)


def listed(
    cleaned: Cleaned,
    audit: Audit,
    drawn: Manifest,
    checked: Checked = NONE_CHECKED,
    unread: Mask | None = None,
) -> Listed:
    """Return what becomes of all noisy examples.

    Args:
        cleaned: what becomes of those that the audit knows.
        audit: what that was made from.
        drawn: the draws of the run.
        checked: what the user vouches for.
        unread: (N,) which of the noisy examples are pictures that could not be read; None: none.
    """
    rows = drawn.train_rows
    seen = np.isin(rows, audit.index)  # both are in the list's order
    label, clean = drawn.given.copy(), drawn.clean.copy()
    label[seen] = cleaned.label
    action = np.full(len(rows), "not seen", dtype=object)
    action[seen] = np.select([cleaned.replaced, cleaned.left_out], ["replaced", "left out"], "kept")
    true = np.full(max(rows.max(initial=0), checked.row.max(initial=0)) + 1, UNKNOWN)
    true[checked.row] = checked.label
    vouched = true[rows] >= 0
    label[vouched] = clean[vouched] = true[rows[vouched]]
    action[vouched] = TRUSTED
    if unread is not None:
        label[unread], action[unread] = LEFT_OUT, "not readable"
    elsewhere = ~np.isin(checked.row, np.concatenate([rows, drawn.probe_rows]))
    others = Checked(checked.row[elsewhere], checked.label[elsewhere])
    return Listed(label, clean, action, seen, others)


def summary(cleaned: Cleaned, audit: Audit, every: Listed) -> dict[str, Any]:
    """Return the results `cleaned/…`; those that need the truth only if some of it is known.

    Those measure the rule alone, also where the user checked a label.

    Args:
        cleaned: what becomes of the audited examples by the rule.
        audit: of them.
        every: what becomes of all noisy examples.
    """
    replaced = every.action[every.seen] == "replaced"
    expected = float(audit.confidence[replaced].mean()) if replaced.any() else None
    facts: dict[str, Any] = {
        "cleaned/replaced": int(replaced.sum()),
        "cleaned/left_out": int((every.action == "left out").sum()),
        "cleaned/expected_precision": expected,
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


def manifest(every: Listed, drawn: Manifest, confidence: float) -> Manifest:
    """Return the draws of a run with cleaned labels and the same probe set."""
    used = every.label != LEFT_OUT
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
        given=every.label[used],
        clean=every.clean[used],
        probe_rows=drawn.probe_rows,
        probe_label=drawn.probe_label,
    )


Tested = Sequence[tuple[str, int, bool]]


def columns(
    every: Listed,
    audit: Audit,
    drawn: Manifest,
    files: Sequence[str] | None,
    tested: Tested = (),
) -> dict[str, Any]:
    """Return the columns of a table: the audited noisy examples, the probe set, the test pictures.

    Args:
        every: the noisy labels after cleaning.
        audit: what they were made from.
        drawn: has the probe set and the class names.
        files: path of each row of the training list, if it has files: `dataset=folder labels=` can
            then read the table, and does not train on a row without a label.
        tested: path and label of each test picture, and whether the label is known to be right.
    """
    others = every.others
    probe_label = np.concatenate([drawn.probe_label, others.label])
    groups = len(every.label), len(probe_label), len(tested)
    rows = np.concatenate([drawn.train_rows, drawn.probe_rows, others.row]).tolist()
    places = rows if files is None else [files[row] for row in rows]
    pictures, test_label, is_right = zip(*tested, strict=True) if tested else ((), (), ())
    named = np.array([*drawn.class_names, ""], dtype=object)

    def names(*labels: Any) -> Objects:
        label = np.concatenate(labels).astype(np.int64)
        return named[np.where(label < 0, -1, label)]

    def alike(*values: str) -> Objects:
        return np.repeat(np.array(values, dtype=object), groups)

    nothing = np.full(sum(groups[1:]), UNKNOWN)
    action = alike("", TRUSTED, "tested on")
    action[: groups[0]] = every.action
    confidence, suggested = np.full(sum(groups), np.nan), np.full(sum(groups), UNKNOWN)
    confidence[: groups[0]][every.seen] = audit.confidence
    suggested[: groups[0]][every.seen] = audit.suggested
    return {
        "index" if files is None else "path": [*places, *pictures],
        "label": names(every.label, probe_label, test_label),
        "split": alike("train", "train", "test"),
        "trusted": np.where(action == TRUSTED, "yes", "no"),
        "true_label": names(every.clean, probe_label, np.where(is_right, test_label, UNKNOWN)),
        "given_label": names(drawn.given, nothing),
        "suggested_label": names(suggested),
        "confidence": confidence,  # of the suggestion
        "action": action,
    }
