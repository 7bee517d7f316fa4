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

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit, Integers, Mask
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.split import NONE_CHECKED, Checked, Unlabelled

LEFT_OUT = -1

TRUSTED = "trusted"
LEFT_OUT_ACTION = "left out"

Objects = NDArray[np.object_]


class CleanedLabels(NamedTuple):
    """M labels after cleaning by the rule."""

    label: Integers  # (M,) the label to train on, or LEFT_OUT
    replaced: Mask  # (M,)

    @property
    def left_out(self) -> Mask:
        """Which examples are left out."""
        return self.label == LEFT_OUT


class CleanedList(NamedTuple):
    """What becomes of all N noisy examples of a run, in the order of its draws."""

    label: Integers  # (N,) to be trained on, or LEFT_OUT
    clean: Integers  # (N,) the true one, UNKNOWN, or KNOWN_WRONG
    action: Objects  # (N,) what was done, in a word
    seen: Mask  # (N,) which of them the audit knows
    other_checked: Checked  # what the user vouches for and the draws left out


def clean_labels(audit: Audit, confidence: float) -> CleanedLabels:
    """Return cleaned labels by the rule above.

    Args:
        audit: of M examples.
        confidence: the least that a suggestion needs, in [0, 1].
    """
    suspicious = audit.suspicious
    replaced = suspicious & (audit.suggested != audit.given) & (audit.confidence >= confidence)
    label = np.where(replaced, audit.suggested, np.where(suspicious, LEFT_OUT, audit.given))
    return CleanedLabels(label, replaced)


def build_cleaned_list(
    cleaned: CleanedLabels,
    audit: Audit,
    manifest: Manifest,
    checked: Checked = NONE_CHECKED,
    unread: Mask | None = None,
) -> CleanedList:
    """Return what becomes of all noisy examples.

    Args:
        cleaned: what becomes of those that the audit knows.
        audit: what that was made from.
        manifest: the draws of the run.
        checked: what the user vouches for.
        unread: (N,) which of the noisy examples are pictures that could not be read; None: none.
    """
    rows = manifest.train_rows
    seen = np.isin(rows, audit.index)  # both are in the list's order
    label, clean = manifest.given.copy(), manifest.clean.copy()
    label[seen] = cleaned.label
    action = np.full(len(rows), "not seen", dtype=object)
    action[seen] = np.select(
        [cleaned.replaced, cleaned.left_out], ["replaced", LEFT_OUT_ACTION], "kept"
    )
    label_of_row = np.full(max(rows.max(initial=0), checked.row.max(initial=0)) + 1, UNKNOWN)
    label_of_row[checked.row] = checked.label
    is_checked = label_of_row[rows] >= 0
    label[is_checked] = clean[is_checked] = label_of_row[rows[is_checked]]
    action[is_checked] = TRUSTED
    if unread is not None:
        label[unread], action[unread] = LEFT_OUT, "not readable"
    elsewhere = ~np.isin(checked.row, np.concatenate([rows, manifest.probe_rows]))
    other_checked = Checked(checked.row[elsewhere], checked.label[elsewhere])
    return CleanedList(label, clean, action, seen, other_checked)


def summary(cleaned: CleanedLabels, audit: Audit, cleaned_list: CleanedList) -> dict[str, Any]:
    """Return the results `cleaned/…`; those that need the truth only if some of it is known.

    Those measure the rule alone, also where the user checked a label.

    Args:
        cleaned: what becomes of the audited examples by the rule.
        audit: of them.
        cleaned_list: what becomes of all noisy examples.
    """
    replaced = cleaned_list.action[cleaned_list.seen] == "replaced"
    expected = float(audit.confidence[replaced].mean()) if replaced.any() else None
    results: dict[str, Any] = {
        "cleaned/replaced": int(replaced.sum()),
        "cleaned/left_out": int((cleaned_list.action == LEFT_OUT_ACTION).sum()),
        "cleaned/expected_precision": expected,
    }
    right = cleaned.label == audit.clean
    # where all that is known is that the given label is wrong, a replacement cannot be judged
    comparable = (
        audit.known & ~cleaned.left_out & ~(cleaned.replaced & (audit.clean == KNOWN_WRONG))
    )
    if comparable.any():
        results["cleaned/noise_before"] = float(audit.wrong[audit.known].mean())
        results["cleaned/noise_after"] = float(1 - right[comparable].mean())
    if (comparable & cleaned.replaced).any():
        results["cleaned/precision"] = float(right[comparable & cleaned.replaced].mean())
    return results


def cleaned_manifest(cleaned_list: CleanedList, manifest: Manifest, confidence: float) -> Manifest:
    """Return the draws of a run with cleaned labels and the same probe set."""
    used = cleaned_list.label != LEFT_OUT
    return Manifest(
        settings={
            **manifest.settings,
            "noise_model": "cleaned",
            "nominal_noise": None,
            "cleaned_from": manifest.hash,
            "confidence": confidence,
        },
        class_names=manifest.class_names,
        train_rows=manifest.train_rows[used],
        given=cleaned_list.label[used],
        clean=cleaned_list.clean[used],
        probe_rows=manifest.probe_rows,
        probe_label=manifest.probe_label,
    )


HeldOutPictures = Sequence[tuple[str, int, bool]]


def columns(
    cleaned_list: CleanedList,
    audit: Audit,
    manifest: Manifest,
    files: Sequence[str] | None,
    test_pictures: HeldOutPictures = (),
    tested: Audit | None = None,
) -> dict[str, Any]:
    """Return the columns of a table: the audited noisy examples, the probe set, the test pictures.

    Args:
        cleaned_list: the noisy labels after cleaning.
        audit: what they were made from.
        manifest: has the probe set and the class names.
        files: path of each row of the training list, if it has files: `dataset=folder labels=` can
            then read the table, and does not train on a row without a label.
        test_pictures: path and label of each, and whether the label is known to be right.
        tested: the audit of those that nobody checked; None: none was judged. Their labels stay.
    """
    other_checked = cleaned_list.other_checked
    probe_label = np.concatenate([manifest.probe_label, other_checked.label])
    group_sizes = len(cleaned_list.label), len(probe_label), len(test_pictures)
    rows = np.concatenate([manifest.train_rows, manifest.probe_rows, other_checked.row]).tolist()
    locations = rows if files is None else [files[row] for row in rows]
    pictures, test_label, is_right = (
        zip(*test_pictures, strict=True) if test_pictures else ((), (), ())
    )
    names_by_class = np.array([*manifest.class_names, ""], dtype=object)

    def class_names(*labels: Any) -> Objects:
        label = np.concatenate(labels).astype(np.int64)
        return names_by_class[np.where(label < 0, -1, label)]

    def per_group(*values: str) -> Objects:
        return np.repeat(np.array(values, dtype=object), group_sizes)

    given = np.concatenate([manifest.given, np.full(sum(group_sizes[1:]), UNKNOWN)])
    action = per_group("", TRUSTED, "tested on")
    action[: group_sizes[0]] = cleaned_list.action
    confidence, suggested = np.full(sum(group_sizes), np.nan), np.full(sum(group_sizes), UNKNOWN)
    confidence[: group_sizes[0]][cleaned_list.seen] = audit.confidence
    suggested[: group_sizes[0]][cleaned_list.seen] = audit.suggested
    if tested is not None:
        places = sum(group_sizes[:2]) + tested.index
        given[places] = tested.given
        suggested[places], confidence[places] = tested.suggested, tested.confidence
    return {
        "index" if files is None else "path": [*locations, *pictures],
        "label": class_names(cleaned_list.label, probe_label, test_label),
        "split": per_group("train", "train", "test"),
        "trusted": np.where(action == TRUSTED, "yes", "no"),
        "true_label": class_names(
            cleaned_list.clean, probe_label, np.where(is_right, test_label, UNKNOWN)
        ),
        "given_label": class_names(given),
        "suggested_label": class_names(suggested),
        "confidence": confidence,  # of the suggestion
        "action": action,
    }


def with_unlabelled(
    table: Mapping[str, Any], pictures: Sequence[Unlabelled]
) -> dict[str, Sequence[Any]]:
    """Return the table with pictures added that had no label, as what an earlier round left out.

    They stay in the lists of all later rounds, so that none is lost from sight.
    """
    if not pictures:
        return dict(table)
    added: dict[str, list[Any]] = {
        "path": [picture.path for picture in pictures],
        "split": [picture.split for picture in pictures],
        "true_label": [picture.true_label for picture in pictures],
        "given_label": [picture.given_label for picture in pictures],
        "trusted": ["no"] * len(pictures),
        "confidence": [np.nan] * len(pictures),
        "action": [LEFT_OUT_ACTION] * len(pictures),
    }
    nothing: list[Any] = [""] * len(pictures)
    return {name: [*column, *added.get(name, nothing)] for name, column in table.items()}
