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
    drawn, files, checked = data.manifest, data.paths, data.checked()
    labels = table.columns(audit, drawn.class_names, files)
    table.write_csv(labels, folder / LABELS)
    if options["parquet"]:
        table.write_parquet(labels, folder / PARQUET)
    kept = cleaned.clean(audit, options["confidence"])
    unread = data.unread(drawn.train_rows)
    every = cleaned.listed(kept, audit, drawn, checked, unread)
    mended = cleaned.columns(every, audit, drawn, files, data.tested_pictures())
    table.write_csv(mended, folder / CLEANED)
    cleaned.manifest(every, drawn, options["confidence"]).write(folder / CLEANED_DRAWS)
    if has_entries(folder / NEXT, "true_label"):
        words = f"note: {folder / NEXT} is filled in and stays; move it away for a new list"
        print(words, file=sys.stderr)
    else:
        unchecked = audit.part(~np.isin(audit.index, checked.row))
        chosen = label_next.choose(unchecked, options["label_next"], data.seed)
        label_next.write_csv(folder / NEXT, chosen, unchecked, drawn.class_names, files)
    return {
        "noise/labels": int((~unread).sum()),
        "noise/labels_seen": len(audit.index),
        **quality(audit),
        **cleaned.summary(kept, audit, every),
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
    called, known = audit.suspicious, audit.known
    facts: dict[str, Any] = {
        "noise/suspicious_share": float(called.mean()) if len(called) else None,
        "noise/auroc": None,
        **detection(audit.trust, audit.given, audit.clean),
    }
    weighed = ~np.isnan(audit.weight)
    if weighed.any():
        of_weight = detection(audit.weight[weighed], audit.given[weighed], audit.clean[weighed])
        facts["noise/auroc_weight"] = of_weight.get("noise/auroc")
    found = int((called & audit.wrong).sum())
    if (called & known).any():
        facts["noise/suspicious_precision"] = found / int((called & known).sum())
    if audit.wrong.any():
        facts["noise/suspicious_recall"] = found / int(audit.wrong.sum())
    return facts
