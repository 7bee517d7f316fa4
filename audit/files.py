"""What an audit writes into a run's folder, and what it adds to the run's results."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audit import cleaned, label_next, table
from audit import tested as test_labels
from audit.detection import detection
from audit.record import Audit
from datamodules.base import NoisyLabelDataModule
from datamodules.tables import has_entries

LABELS, PARQUET = "labels.csv", "labels.parquet"
TESTED, TESTED_PARQUET = "labels_test.csv", "labels_test.parquet"
CLEANED, CLEANED_DRAWS = "labels_cleaned.csv", "labels_cleaned.npz"
NEXT = "label_next.csv"


def write_audit(
    audit: Audit,
    data: NoisyLabelDataModule,
    folder: Path,
    options: Mapping[str, Any],
    tested: Audit | None = None,
) -> dict[str, Any]:
    """Write the lists of labels; return `noise/…` and `cleaned/…`, of the labels that were seen.

    A `label_next.csv` that somebody has begun to fill in is not overwritten.

    Args:
        audit: of the run's noisy labels whose pictures could be read.
        data: what the labels belong to.
        folder: of the run.
        options: the settings under `audit`.
        tested: of the test labels that nobody checked; None: none was judged.
    """
    manifest, files, checked = data.manifest, data.paths, data.checked()
    test_pictures = data.tested_pictures()
    test_paths = [path for path, *_ in test_pictures]
    tested = audit.subset(np.zeros(len(audit.index), dtype=np.bool_)) if tested is None else tested
    labels = table.columns(audit, manifest.class_names, files)
    table.write_csv(labels, folder / LABELS)
    if options["parquet"]:
        table.write_parquet(labels, folder / PARQUET)
    _write_tested(test_labels.columns(tested, manifest.class_names, test_paths), folder, options)
    cleaned_labels = cleaned.clean_labels(audit, options["confidence"])
    unread = data.unread(manifest.train_rows)
    cleaned_list = cleaned.build_cleaned_list(cleaned_labels, audit, manifest, checked, unread)
    cleaned_columns = cleaned.columns(cleaned_list, audit, manifest, files, test_pictures, tested)
    cleaned_columns = cleaned.with_unlabelled(cleaned_columns, data.unlabelled_pictures())
    table.write_csv(cleaned_columns, folder / CLEANED)
    cleaned_draws = cleaned.cleaned_manifest(cleaned_list, manifest, options["confidence"])
    cleaned_draws.write(folder / CLEANED_DRAWS)
    if has_entries(folder / NEXT, "true_label"):
        message = f"note: {folder / NEXT} is filled in and stays; move it away for a new list"
        print(message, file=sys.stderr)
    else:
        unchecked = audit.subset(~np.isin(audit.index, checked.row))
        count, names = options["label_next"], manifest.class_names
        doubtful = label_next.choose_tested(tested, count)
        chosen = label_next.choose(unchecked, count - len(doubtful), data.seed)
        label_next.write_csv(
            folder / NEXT,
            "index" if files is None else "path",
            label_next.list_entries(chosen, unchecked, names, files),
            label_next.list_entries(doubtful, tested, names, test_paths),
        )
    return {
        "noise/labels": int((~unread).sum()),
        "noise/labels_seen": len(audit.index),
        **quality(audit),
        **cleaned.summary(cleaned_labels, audit, cleaned_list),
    }


def _write_tested(
    columns: Mapping[str, Sequence[Any]], folder: Path, options: Mapping[str, Any]
) -> None:
    """Write `labels_test.csv`, or take away an earlier one if no test label was judged."""
    if not len(columns["rank"]):
        for name in (TESTED, TESTED_PARQUET):
            (folder / name).unlink(missing_ok=True)
        return
    table.write_csv(columns, folder / TESTED)
    if options["parquet"]:
        table.write_parquet(columns, folder / TESTED_PARQUET)


def part_seen(results: Mapping[str, Any]) -> str:
    """Return how many labels the audit saw, `600 of 4,700`; nothing where it saw all of them.

    Args:
        results: of a run; older ones do not say.
    """
    count, seen = results.get("noise/labels"), results.get("noise/labels_seen")
    return "" if count is None or seen is None or seen >= count else f"{seen:,} of {count:,}"


def quality(audit: Audit) -> dict[str, Any]:
    """Return the share of suspicious labels and, where the truth is known, how good trust is."""
    suspicious, known = audit.suspicious, audit.known
    results: dict[str, Any] = {
        "noise/suspicious_share": float(suspicious.mean()) if len(suspicious) else None,
        "noise/auroc": None,
        **detection(audit.trust, audit.given, audit.clean),
    }
    has_weight = ~np.isnan(audit.weight)
    if has_weight.any():
        weight_detection = detection(
            audit.weight[has_weight], audit.given[has_weight], audit.clean[has_weight]
        )
        results["noise/auroc_weight"] = weight_detection.get("noise/auroc")
    true_positives = int((suspicious & audit.wrong).sum())
    if (suspicious & known).any():
        results["noise/suspicious_precision"] = true_positives / int((suspicious & known).sum())
    if audit.wrong.any():
        results["noise/suspicious_recall"] = true_positives / int(audit.wrong.sum())
    return results
