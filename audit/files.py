"""What an audit writes into a run's folder, and what it adds to the run's results."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from audit import cleaned, label_next, table
from audit.detection import detection
from audit.record import Audit
from datamodules.base import NoisyLabelDataModule
from datamodules.tables import has_entries

LABELS, PARQUET = "labels.csv", "labels.parquet"
CLEANED, CLEANED_DRAWS = "labels_cleaned.csv", "labels_cleaned.npz"
NEXT = "label_next.csv"


def write_audit(
    audit: Audit, data: NoisyLabelDataModule, folder: Path, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the lists of labels; return `noise/…` and `cleaned/…`, of the labels that were seen.

    A `label_next.csv` that somebody has begun to fill in is not overwritten.

    Args:
        audit: of the run's noisy labels whose pictures could be read.
        data: what the labels belong to.
        folder: of the run.
        options: the settings under `audit`.
    """
    manifest, files, checked = data.manifest, data.paths, data.checked()
    labels = table.columns(audit, manifest.class_names, files)
    table.write_csv(labels, folder / LABELS)
    if options["parquet"]:
        table.write_parquet(labels, folder / PARQUET)
    cleaned_labels = cleaned.clean_labels(audit, options["confidence"])
    unread = data.unread(manifest.train_rows)
    cleaned_list = cleaned.build_cleaned_list(cleaned_labels, audit, manifest, checked, unread)
    cleaned_columns = cleaned.columns(cleaned_list, audit, manifest, files, data.tested_pictures())
    table.write_csv(cleaned_columns, folder / CLEANED)
    cleaned_draws = cleaned.cleaned_manifest(cleaned_list, manifest, options["confidence"])
    cleaned_draws.write(folder / CLEANED_DRAWS)
    if has_entries(folder / NEXT, "true_label"):
        message = f"note: {folder / NEXT} is filled in and stays; move it away for a new list"
        print(message, file=sys.stderr)
    else:
        unchecked = audit.subset(~np.isin(audit.index, checked.row))
        chosen = label_next.choose(unchecked, options["label_next"], data.seed)
        label_next.write_csv(folder / NEXT, chosen, unchecked, manifest.class_names, files)
    return {
        "noise/labels": int((~unread).sum()),
        "noise/labels_seen": len(audit.index),
        **quality(audit),
        **cleaned.summary(cleaned_labels, audit, cleaned_list),
    }


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
