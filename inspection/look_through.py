"""`mode=check`: look for everything that is wrong before anything is trained."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from datamodules.base import NoisyLabelDataModule
from datamodules.whole_pictures import WholePictures, check_memory
from inspection.class_findings import add_classes
from inspection.duplicates import NOISY, PROBE
from inspection.findings import Findings
from inspection.foretell import foretell
from inspection.looking import MISSING, look_at_all
from inspection.picture_findings import Pictures
from inspection.report import CHECK, PROBLEMS, check_folder, show, write
from runs.ranks import is_first_rank
from runs.settings import Settings
from runs.training import Run, announce, prepare, refuse_folder, refuse_network


def check(settings: Settings) -> dict[str, Any]:
    """Do all that comes before training, look at everything, and say whether it would start.

    What is found is written and printed.

    Returns:
        What was checked, and where that is.

    Raises:
        ValueError: if something is in the way: all of it, each begun by `error:`.
    """
    if not is_first_rank():  # one process looks for all
        return {}
    console = Console()
    run = prepare(settings)
    refuse_folder(run)
    console.print(f"reading {run.data.name}", highlight=False)
    run.data.prepare_data()
    run.data.lay_out()
    announce(run, console)
    folder = check_folder(str(run.data.name))
    findings = look_through(run, folder, console)
    facts = {
        "dataset": run.data.name,
        "manifest": run.data.manifest.hash,
        "max_steps": run.plan.max_steps,
    }
    write(findings, facts, folder)
    show(findings, folder, console)
    if findings.blocks:
        raise ValueError("\nerror: ".join(findings.blocks))
    console.print("mode=check: training would start.")
    return {**facts, "check": str(folder / CHECK)}


def look_through(run: Run, folder: Path, console: Console) -> Findings:
    """Return all that is found; nothing is written.

    Args:
        run: one that has not begun, its data laid out; its module is of no use afterwards.
        folder: where it will be written.
        console: where bars go.
    """
    findings, data = Findings(), run.data
    _add_pictures(findings, data, folder, console)
    method = run.folder.settings["choices"].get("method", "method")
    add_classes(findings, data, method, run.module.uses_probe)
    _add_memory(findings, data)
    if run.module.uses_probe and not data.num_probe:
        # where pictures are missing, those to be trusted cannot be chosen among them
        kind = NoisyLabelDataModule if findings.facts[MISSING] else type(data)
        findings.blocks.append(kind.without_probe(data))
    else:
        _add_estimate(findings, run, console)
    return findings


def _add_pictures(
    findings: Findings, data: NoisyLabelDataModule, folder: Path, console: Console
) -> None:
    began = time.perf_counter()
    sets = {NOISY: data.train_set, PROBE: data.probe_set, **data.test_sets}
    found = look_at_all(sets, console)
    seconds = time.perf_counter() - began
    total = sum(map(len, sets.values()))
    findings.facts["pictures"] = total
    findings.facts["looking_seconds"] = round(seconds, 2)
    console.print(
        f"looked at {total:,} pictures in {seconds:.1f} s, {total / seconds:,.0f} a second",
        highlight=False,
    )
    Pictures(findings, found, data.manifest.class_names, folder / PROBLEMS).add()


def _add_memory(findings: Findings, data: NoisyLabelDataModule) -> None:
    lists = [one.images for one in (data.train_set, *data.test_sets.values())]
    whole = [images for images in lists if isinstance(images, WholePictures)]
    try:
        if whole:
            check_memory(sum(map(len, whole)), whole[0].side)
    except ValueError as error:
        findings.blocks.append(str(error))


def _add_estimate(findings: Findings, run: Run, console: Console) -> None:
    console.print("timing a few steps", highlight=False)
    devices = run.trainer.world_size
    try:
        refuse_network(run)
        found = foretell(run.folder.settings, run.data, run.module, run.plan, devices)
    except ValueError as error:
        findings.blocks.append(str(error))
        return
    findings.notes += found.describe(run.plan)
    if shortage := found.shortage():
        findings.warn(shortage)
    findings.facts["estimate"] = found.as_json(run.plan)
