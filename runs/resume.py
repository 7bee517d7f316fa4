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
from runs.settings import LENGTH_KEYS, differences


def rename_damaged_checkpoints(folder: RunFolder, manifest: str, console: Console) -> None:
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
    for path in folder.existing_checkpoints:
        try:
            saved = load(path)
        except ValueError as error:
            damaged[path] = str(error)
            continue
        experiment = saved["experiment"]
        changes = differences(experiment["settings"], folder.settings, except_keys=LENGTH_KEYS)
        if changes or experiment["manifest"] != manifest:
            raise ValueError(
                f"{path} is another experiment's ({'; '.join(changes) or 'other labels drawn'}): "
                "put back the run's own, or give fresh=true to set the run aside."
            )
        for damaged_path, reason in damaged.items():
            new_path = damaged_path.with_name(f"{damaged_path.stem}.damaged")
            os.replace(damaged_path, new_path)
            console.print(
                f"{reason} It is now {new_path.name}; going on from {path.name}, step "
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
    """Raise a `ValueError` if another length would change steps that a run has already taken.

    Raises:
        ValueError: naming the keys that changed, and the steps taken or the first one that would
            change; or if results would be lost for want of a checkpoint to resume from.
    """
    saved = None if folder.settings["fresh"] else folder.saved_settings()
    if saved is None:
        return
    if not folder.existing_checkpoints:
        _check_results_kept(folder, plan)
        return
    changes = [line for line in differences(saved, folder.settings) if _key(line) in LENGTH_KEYS]
    if not changes:
        return
    message_start = f"run_dir={folder.path} holds a run of another length ({'; '.join(changes)})"
    steps_taken = _step_reached(folder)
    if plan.max_steps < steps_taken:
        raise ValueError(
            f"{message_start} that has taken {steps_taken:,} steps: give as many or more."
        )
    old_schedule, _ = build_schedule(saved, data)
    for step in range(steps_taken):
        if old_schedule(step) != schedule(step):
            raise ValueError(
                f"{message_start}, and the learning rate of its step {step + 1:,} would have been "
                f"{schedule(step):.6g}, not {old_schedule(step):.6g}: schedule="
                f"{folder.settings['choices'].get('schedule')} depends on the length; give the old "
                "one, or another run_dir."
            )


def _check_results_kept(folder: RunFolder, plan: Plan) -> None:
    """Raise a `ValueError` if the results of a run without checkpoints would be replaced."""
    steps = folder.read_results().get("steps", 0)
    if 0 < steps < plan.max_steps:
        raise ValueError(
            f"run_dir={folder.path} holds the results of {steps:,} steps, and no checkpoint to go "
            f"on from to step {plan.max_steps:,}: put back {folder.last_checkpoint}, or give "
            "another run_dir, "
            "or fresh=true to set the run aside and start again."
        )


def _step_reached(folder: RunFolder) -> int:
    """Return the step to resume from, 0 if no checkpoint can be read; that is reported later."""
    for path in folder.existing_checkpoints:
        with suppress(ValueError):
            return int(load(path)["global_step"])
    return 0


def _key(line: str) -> str:
    return line.partition(":")[0]
