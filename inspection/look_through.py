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
from lightning_modules.base import NoisyLabelModule
from runs.build import Plan
from runs.settings import Settings


class Checked:
    """What is looked through: the objects of a run that has not begun.

    Args:
        settings: of the run.
        data: laid out.
        module: the method, new; it is of no use afterwards.
        plan: how long the run is.
        devices: how many share its batches.
    """

    def __init__(
        self,
        settings: Settings,
        data: NoisyLabelDataModule,
        module: NoisyLabelModule,
        plan: Plan,
        devices: int,
    ) -> None:
        self.settings = settings
        self.data = data
        self.module = module
        self.plan = plan
        self.devices = devices

    def check(self, console: Console) -> dict[str, Any]:
        """Look for everything, write and print it; return what was checked and where that is.

        Raises:
            ValueError: if something is in the way of training: all of it, each after `error:`.
        """
        data = self.data
        folder = check_folder(str(data.name))
        findings = self.look_through(folder, console)
        facts = {
            "dataset": data.name,
            "manifest": data.manifest.hash,
            "max_steps": self.plan.max_steps,
        }
        write(findings, facts, folder)
        show(findings, folder, console)
        if findings.blocks:
            raise ValueError("\nerror: ".join(findings.blocks))
        return {**facts, "check": str(folder / CHECK)}

    def look_through(self, folder: Path, console: Console) -> Findings:
        """Return all that is found; nothing is written.

        Args:
            folder: where it will be.
            console: where bars go.
        """
        findings, data = Findings(), self.data
        self._add_pictures(findings, folder, console)
        method = self.settings["choices"].get("method", "method")
        add_classes(findings, data, method, self.module.uses_probe)
        self._add_memory(findings)
        if self.module.uses_probe and not data.num_probe:
            # where pictures are missing, those to be trusted cannot be chosen among them
            kind = NoisyLabelDataModule if findings.facts[MISSING] else type(data)
            findings.blocks.append(kind.without_probe(data))
        else:
            self._add_estimate(findings, console)
        return findings

    def _add_pictures(self, findings: Findings, folder: Path, console: Console) -> None:
        data, began = self.data, time.perf_counter()
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

    def _add_memory(self, findings: Findings) -> None:
        lists = [one.images for one in (self.data.train_set, *self.data.test_sets.values())]
        whole = [images for images in lists if isinstance(images, WholePictures)]
        try:
            if whole:
                check_memory(sum(map(len, whole)), whole[0].side)
        except ValueError as error:
            findings.blocks.append(str(error))

    def _add_estimate(self, findings: Findings, console: Console) -> None:
        console.print("timing a few steps", highlight=False)
        try:
            found = foretell(self.settings, self.data, self.module, self.plan, self.devices)
        except ValueError as error:
            findings.blocks.append(str(error))
            return
        findings.notes += found.describe(self.plan)
        if shortage := found.shortage():
            findings.warn(shortage)
        findings.facts["estimate"] = found.as_json(self.plan)
