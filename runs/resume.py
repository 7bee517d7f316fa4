"""What a run resumes from: its newest intact checkpoint, of the very same experiment."""

import os
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from callbacks.checkpoint_file import load
from datamodules.base import NoisyLabelDataModule
from lightning_modules.schedules import Schedule
from runs.build import Plan, build_schedule
from runs.folder import RunFolder
from runs.settings import LENGTH, differences


def set_damaged_aside(folder: RunFolder, manifest: str, console: Console) -> None:
    """Rename a damaged checkpoint if the one before it is intact, so that the run resumes from it.

    If none is intact, nothing is renamed.

    Args:
        folder: the run's.
        manifest: the hash of the noise and probe drawn now.
        console: where to print what was found.

    Raises:
        ValueError: if all checkpoints are damaged, or one belongs to another experiment.
    """
    damaged: dict[Path, str] = {}
    for path in folder.saved:
        try:
            saved = load(path)
        except ValueError as error:
            damaged[path] = str(error)
            continue
        made = saved["experiment"]
        changed = differences(made["settings"], folder.settings, but=LENGTH)
        if changed or made["manifest"] != manifest:
            raise ValueError(
                f"{path} is another experiment's ({'; '.join(changed) or 'other labels drawn'}): "
                "put back the run's own, or give fresh=true to set the run aside."
            )
        for one, reason in damaged.items():
            aside = one.with_name(f"{one.stem}.damaged")
            os.replace(one, aside)
            console.print(
                f"{reason} It is now {aside.name}; going on from {path.name}, step "
                f"{saved['global_step']:,}.",
                soft_wrap=True,
                highlight=False,
            )
        return
    if damaged:
        raise ValueError(
            f"{' '.join(damaged.values())} Put back a good copy, or give fresh=true to set the run "
            "aside and start again."
        )


def check_length(
    folder: RunFolder, data: NoisyLabelDataModule, schedule: Schedule, plan: Plan
) -> None:
    """Refuse another length for a run that has begun, if it would change steps already taken.

    Raises:
        ValueError: naming the keys that changed, and the steps taken or the first one that would
            change; or if results would be lost for want of a checkpoint to resume from.
    """
    saved = None if folder.settings["fresh"] else folder.saved_settings()
    if saved is None:
        return
    if not folder.saved:
        _keep_results(folder, plan)
        return
    changed = [line for line in differences(saved, folder.settings) if _key(line) in LENGTH]
    if not changed:
        return
    text = f"run_dir={folder.path} holds a run of another length ({'; '.join(changed)})"
    reached = _reached(folder)
    if plan.max_steps < reached:
        raise ValueError(f"{text} that has taken {reached:,} steps: give as many or more.")
    before, _ = build_schedule(saved, data)
    for step in range(reached):
        if before(step) != schedule(step):
            raise ValueError(
                f"{text}, and the learning rate of its step {step + 1:,} would have been "
                f"{schedule(step):.6g}, not {before(step):.6g}: schedule="
                f"{folder.settings['choices'].get('schedule')} depends on the length; give the old "
                "one, or another run_dir."
            )


def _keep_results(folder: RunFolder, plan: Plan) -> None:
    """Refuse to replace the results of a run whose checkpoints are gone."""
    steps = folder.told().get("steps", 0)
    if 0 < steps < plan.max_steps:
        raise ValueError(
            f"run_dir={folder.path} holds the results of {steps:,} steps, and no checkpoint to go "
            f"on from to step {plan.max_steps:,}: put back {folder.last}, or give another run_dir, "
            "or fresh=true to set the run aside and start again."
        )


def _reached(folder: RunFolder) -> int:
    """Return the step to resume from, 0 if no checkpoint can be read; that is reported later."""
    for path in folder.saved:
        with suppress(ValueError):
            return int(load(path)["global_step"])
    return 0


def _key(line: str) -> str:
    return line.partition(":")[0]
