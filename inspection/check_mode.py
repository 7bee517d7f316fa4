"""`mode=check`: look for everything that is wrong, before any training."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules.base import NoisyLabelDataModule
from datamodules.split import CHECKED
from datamodules.whole_pictures import WholePictures, check_memory
from inspection.class_findings import add_classes
from inspection.duplicates import NOISY, PROBE
from inspection.estimate_run import estimate_run
from inspection.findings import Findings
from inspection.picture_findings import PictureFindings
from inspection.picture_scan import MISSING, scan_splits
from inspection.report import CHECK, PROBLEMS, check_folder, print_findings, write_findings
from runs.ranks import is_first_rank
from runs.settings import Settings
from runs.training import Run, check_network_fits, check_run_folder, prepare, print_plan


def check(settings: Settings) -> dict[str, Any]:
    """Do all that comes before training, check all data, and report whether training would start.

    The findings are printed and written to files.

    Returns:
        What was checked, and the path of `check.json`; on other ranks than the first, {}.

    Raises:
        ValueError: if training would not start; what is found in the data comes all at once.
    """
    if not is_first_rank():  # one process checks for all
        return {}
    console = Console()
    run = prepare(settings)
    check_run_folder(run)
    console.print(f"reading {run.data.name}", highlight=False)
    run.data.prepare_data()
    run.data.setup_lazily()
    print_plan(run, console)
    folder = check_folder(str(run.data.name))
    findings = collect_findings(run, folder, console)
    facts = {
        "dataset": run.data.name,
        "manifest": run.data.manifest.hash,
        "max_steps": run.plan.max_steps,
    }
    write_findings(findings, facts, folder)
    print_findings(findings, folder, console)
    if findings.errors:
        raise ValueError("\nerror: ".join(findings.errors))
    console.print("mode=check: training would start.")
    return {**facts, "check": str(folder / CHECK)}


def collect_findings(run: Run, folder: Path, console: Console) -> Findings:
    """Return all findings; nothing is written.

    Args:
        run: not begun, its data laid out; its module cannot be used afterwards.
        folder: where the findings will be written.
        console: where progress is shown.
    """
    findings, data = Findings(), run.data
    _add_pictures(findings, data, folder, console)
    method = run.folder.settings["choices"].get("method", "method")
    add_classes(findings, data, method, run.module.uses_probe)
    _add_memory(findings, data)
    if run.module.uses_probe and not data.num_probe:
        # a list of pictures to label first is made by reading them, so none may be missing
        kind = NoisyLabelDataModule if findings.facts[MISSING] else type(data)
        findings.errors.append(kind.advice_without_probe(data))
    else:
        _add_estimate(findings, run, console)
    return findings


def _add_pictures(
    findings: Findings, data: NoisyLabelDataModule, folder: Path, console: Console
) -> None:
    began = time.perf_counter()
    sets = {NOISY: data.train_set, PROBE: data.probe_set, **data.test_sets}
    sets.pop(CHECKED, None)  # a part of another
    scanned_splits = scan_splits(sets, console)
    seconds = time.perf_counter() - began
    total = sum(map(len, sets.values()))
    findings.facts["pictures"] = total
    findings.facts["looking_seconds"] = round(seconds, 2)
    console.print(
        f"looked at {total:,} pictures in {seconds:.1f} s, {total / seconds:,.0f} a second",
        highlight=False,
    )
    PictureFindings(
        findings, scanned_splits, data.manifest.class_names, folder / PROBLEMS
    ).add_all()


def _add_memory(findings: Findings, data: NoisyLabelDataModule) -> None:
    whole_pictures = [images for images in data.all_images if isinstance(images, WholePictures)]
    try:
        if whole_pictures:
            check_memory(sum(map(len, whole_pictures)), whole_pictures[0].side)
    except ValueError as error:
        findings.errors.append(str(error))


def _add_estimate(findings: Findings, run: Run, console: Console) -> None:
    console.print("timing a few steps", highlight=False)
    devices = run.trainer.world_size
    try:
        check_network_fits(run)
        estimate = estimate_run(run.folder.settings, run.data, run.module, run.plan, devices)
    except ValueError as error:
        findings.errors.append(str(error))
        return
    findings.notes += estimate.describe(run.plan)
    if shortage := estimate.shortage():
        findings.warn(shortage)
    findings.facts["estimate"] = estimate.as_json(run.plan)
