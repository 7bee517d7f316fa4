"""Findings about the classes: their sizes, their names, their noise, and the probe set."""

import numpy as np

from datamodules.base import NoisyLabelDataModule
from datamodules.noise import effective_rate
from datamodules.phrases import first_few
from datamodules.split import CHECKED
from inspection.class_counts import (
    FEW_EXAMPLES,
    PAPERS_PROBE,
    class_rows,
    count_per_class,
    empty_classes,
    near_names,
    nearly_empty_classes,
    probe_advice,
    wrong_labels,
)
from inspection.duplicates import NOISY, PROBE
from inspection.findings import Findings


def add_classes(
    findings: Findings, data: NoisyLabelDataModule, method: str, uses_probe: bool
) -> None:
    """Add what the labels show.

    Args:
        findings: what to add to.
        data: laid out or set up.
        method: its name.
        uses_probe: whether the method needs trusted examples.
    """
    manifest, names, classes = data.manifest, data.manifest.class_names, data.num_classes
    columns = {
        NOISY: count_per_class(manifest.given, classes),
        PROBE: count_per_class(manifest.probe_label, classes),
        **{
            name: count_per_class(test_set.label.numpy(), classes)
            for name, test_set in data.test_sets.items()
        },
    }
    given = np.concatenate([manifest.given, data.original_labels(manifest.probe_rows)])
    wrong = wrong_labels(np.concatenate([manifest.clean, manifest.probe_label]), given, classes)
    findings.splits = list(columns)
    findings.classes = class_rows(names, columns, wrong)
    _add_noise(findings, data)
    noisy, probe = columns[NOISY], columns[PROBE]
    untrained = empty_classes(noisy + probe if uses_probe else noisy, names)
    if untrained:
        findings.warn(
            f"nothing to train on in {len(untrained)} of {classes} classes "
            f"({first_few(untrained)}): give them examples, or leave the classes out of the data"
        )
    only_trusted = [name for name in empty_classes(noisy, names) if name not in untrained]
    if only_trusted:
        findings.warn(
            f"classes with trusted examples only: {len(only_trusted)} of {classes} "
            f"({first_few(only_trusted)})"
        )
    for name in data.test_sets:
        if not columns[name].sum():
            findings.errors.append(
                f"There is no picture in {name}, so nothing could be judged: give a test split "
                "with labels."
            )
        elif name != CHECKED and (untested := empty_classes(columns[name], names)):
            findings.warn(
                f"classes that are not in {name}, which will say nothing of them: "
                f"{len(untested)} of {classes} ({first_few(untested)})"
            )
    for similar_names in near_names(names):
        findings.warn(
            f"{' and '.join(map(repr, similar_names))} are different classes whose names differ "
            "by case or space alone: if they mean the same, write them in one way"
        )
    if few_examples := nearly_empty_classes(noisy, names):
        findings.warn(
            f"classes with fewer than {FEW_EXAMPLES} noisy examples: {len(few_examples)} of "
            f"{classes} ({first_few(few_examples)})"
        )
    if probe.any():
        advice = probe_advice(probe, names, method, uses_probe)
        for sentence in advice:
            findings.warn(sentence)
        if not advice:
            findings.notes.append(
                f"the probe is large enough, {probe.min():,} of each class; the paper has "
                f"{PAPERS_PROBE}"
            )


def _add_noise(findings: Findings, data: NoisyLabelDataModule) -> None:
    manifest = data.manifest
    original = data.original_labels(manifest.probe_rows)
    known = original >= 0
    noise_among_trusted = (
        effective_rate(manifest.probe_label[known], original[known]) if known.any() else None
    )
    findings.facts["nominal_noise"] = data.noise
    findings.facts["effective_noise"] = manifest.effective_noise
    findings.facts["wrong_among_trusted"] = noise_among_trusted
    if noise_among_trusted is not None:
        findings.notes.append(
            f"{noise_among_trusted:.1%} of the {known.sum():,} trusted examples had come with a "
            "wrong label"
        )
