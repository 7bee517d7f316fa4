"""`mode=train`: train, resume, or show the results of a finished run."""

import errno
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger, WandbLogger
from rich.console import Console

from callbacks import memory
from callbacks.csv_log import read_metrics
from callbacks.stop_signals import Stopped, StopSignals
from callbacks.wandb_log import WandbLog
from datamodules.base import NoisyLabelDataModule
from datamodules.picture_data import PictureDataModule
from lightning_modules.base import NoisyLabelModule
from lightning_modules.compiled import CompiledPasses
from lightning_modules.cpu_collectives import CollectiveError
from lightning_modules.schedules import Schedule
from models.network_check import check_network
from runs.build import (
    Plan,
    build_callbacks,
    build_data,
    build_module,
    build_schedule,
    build_trainer,
)
from runs.closing_table import print_closing_table
from runs.folder import RunFolder
from runs.loggers import build_loggers
from runs.ranks import first_rank_first, is_first_rank, skip_group_shutdown_at_exit
from runs.results import RunOutcome, process_facts, write_run_results
from runs.resume import check_length, rename_damaged_checkpoints
from runs.resume_message import resume_message
from runs.settings import Settings
from runs.wandb_page import log_finished_run
from runs.wandb_run import is_sweep_run

Results = dict[str, Any]

# The disk is full, the quota is used up, or the file system has become read-only.
_UNWRITABLE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class Run(NamedTuple):
    """What a run consists of, built from its settings."""

    folder: RunFolder
    data: NoisyLabelDataModule
    schedule: Schedule
    plan: Plan
    module: NoisyLabelModule
    trainer: pl.Trainer
    signals: StopSignals


def train(settings: Settings) -> Results:
    """Train, resume, or show the results of a finished run; return the results."""
    is_first = is_first_rank()
    console = Console(quiet=not is_first)
    run = prepare(settings)
    with first_rank_first(run.trainer):
        if is_first:
            check_run_folder(run)
        results = None if settings["fresh"] else run.folder.finished_results()
        if results and results["steps"] >= run.plan.max_steps:
            if is_first:
                check_lists_unchanged(run)
            console.print(f"This run is finished; fresh=true starts it again: {run.folder.path}")
            note_other_audit_settings(run, console)
            print_closing_table(results, run.folder.path, console)
            if is_first and is_sweep_run():
                send_results_to_sweep(settings, results, run.folder.path)
            return results
        read_data(run.data, console)
        if is_first:
            check_network_fits(run)
            if settings["fresh"] and (aside := run.folder.move_aside()):
                console.print(f"fresh=true: the old run is now in {aside}", soft_wrap=True)
            run.folder.create_and_lock()
            run.data.manifest.save(run.folder.path)
            run.data.save_for_evaluation(run.folder.path)
            rename_damaged_checkpoints(run.folder, run.data.manifest.hash, console)
    run.data.unreadable.write_to(run.folder.path)
    print_plan(run, console)
    device = run.trainer.strategy.root_device
    memory.forget_gpu_peak(device)
    logged_facts = {"effective_noise": run.data.manifest.effective_noise}
    loggers = run.trainer.loggers = build_loggers(settings, run.folder.path, logged_facts)
    resume_from = next(iter(run.folder.existing_checkpoints), None)
    try:
        with run.signals:
            run.trainer.fit(
                run.module, datamodule=run.data, ckpt_path=resume_from, weights_only=True
            )
            if not is_first:
                return {}
            outcome = RunOutcome.from_trainer(run.trainer, run.data)
            metrics = read_metrics(run.folder.path / "metrics.csv")
            facts_of_process = process_facts(device)
            results = write_run_results(
                outcome, run.data, run.plan, run.folder, metrics, facts_of_process
            )
            for logger in loggers:
                if isinstance(logger, WandbLog):
                    log_finished_run(logger, results, run.folder.path, outcome.audit, run.data)
    except BaseException as error:
        if run.trainer.world_size > 1 and not isinstance(error, CollectiveError | Stopped):
            skip_group_shutdown_at_exit()
        if isinstance(error, OSError) and error.errno in _UNWRITABLE_ERRORS:
            raise ValueError(
                f"run_dir={run.folder.path} cannot be written any more ({error.strerror}): make "
                "room there, then the same command goes on where it was last saved."
            ) from error
        if is_first and not isinstance(error, ValueError):
            print(resume_message(run.folder, run.trainer, run.signals.received), file=sys.stderr)
        raise
    finally:
        close_loggers(loggers)
        run.folder.release_lock()
    print_closing_table(results, run.folder.path, console)
    return results


def check_lists_unchanged(run: Run) -> None:
    """Raise a `ValueError` if a finished run's lists of pictures have changed since.

    Other data sets are not checked: they are not read yet, and their results can be shown without
    the data.

    Raises:
        ValueError: if they have changed.
    """
    if isinstance(run.data, PictureDataModule):
        run.data.drawn_manifest.check_saved(run.folder.path)


def note_other_audit_settings(run: Run, console: Console) -> None:
    """Say so if a finished run's lists of labels were written with other settings of `audit`."""
    saved, given = (
        (run.folder.saved_settings() or {}).get("audit", {}),
        run.folder.settings["audit"],
    )
    changed = [f"audit.{key}={saved[key]}" for key in saved if saved[key] != given.get(key)]
    if changed:
        console.print(
            f"Its lists of labels were written with {', '.join(changed)} when it ended; the same "
            "command with mode=audit writes them anew.",
            soft_wrap=True,
            highlight=False,
        )


def send_results_to_sweep(settings: Settings, results: Results, folder: Path) -> None:
    """Give a W&B sweep's agent the history and the results of a run that had finished before."""
    facts = {"effective_noise": results["noise/effective_rate"]}
    loggers = build_loggers(settings, folder, facts)
    try:
        for logger in loggers:
            if isinstance(logger, WandbLog):
                log_finished_run(logger, results, folder)
    finally:
        close_loggers(loggers)


def prepare(settings: Settings) -> Run:
    """Build everything that needs no data; refuse settings that cannot work with one another."""
    folder = RunFolder(settings)
    data = build_data(settings)
    schedule, plan = build_schedule(settings, data)
    module = build_module(settings, data, schedule)
    # mode=check lists a missing probe set among its findings instead
    checks_probe = is_first_rank() and settings["mode"] != "check"
    if module.uses_probe and not data.num_probe and checks_probe:
        raise ValueError(data.advice_without_probe())
    signals = StopSignals()
    callbacks = build_callbacks(settings, data, plan, folder, signals)
    trainer = build_trainer(settings, plan.max_steps, callbacks)
    if module.recorded_step is not None:
        check_recordable(trainer)
    return Run(folder, data, schedule, plan, module, trainer, signals)


def check_recordable(trainer: pl.Trainer) -> None:
    """Raise a `ValueError` if steps on these devices cannot be recorded as a CUDA graph."""
    device_type, device_count = trainer.strategy.root_device.type, trainer.world_size
    if device_type != "cuda" or device_count > 1:
        raise ValueError(
            f"speed.cuda_graph=true is for one NVIDIA GPU, and this run is on {device_count} x "
            f"{device_type}: "
            "leave speed.cuda_graph out."
        )


def check_run_folder(run: Run) -> None:
    """Raise a `ValueError` if this run, or one of this length, cannot use the folder."""
    run.folder.check_usable()
    check_length(run.folder, run.data, run.schedule, run.plan)


def check_network_fits(run: Run) -> None:
    """Raise a `ValueError` if the network does not fit the pictures or the number of classes."""
    examples, device = run.data.train_set, run.trainer.strategy.root_device
    image = examples.images.for_evaluation(examples.index[:1])
    recorded = run.module.recorded_step is not None
    check_network(run.module.net, image, run.data.num_classes, device.type, recorded=recorded)


def read_data(data: NoisyLabelDataModule, console: Console) -> None:
    """Download what is missing, read the data, and draw probe and noise."""
    console.print(f"reading {data.name}", highlight=False)
    if is_first_rank():
        data.prepare_data()
    data.setup("fit")


def print_plan(run: Run, console: Console) -> None:
    """Print, before the first step, what follows from the settings."""
    data, plan, settings = run.data, run.plan, run.folder.settings
    choices = settings["choices"]
    parameter_count = sum(parameter.numel() for parameter in run.module.net.parameters())
    lines = [
        data.manifest.describe(),
        f"{choices['method']} with {choices['model']}, {parameter_count:,} parameters; "
        f"{plan.max_steps:,} "
        f"steps of {data.batch_size}, {data.epochs(plan.max_steps):.3g} epochs; "
        f"evaluated {len(plan.evaluate_at)} times",
    ]
    if run.schedule.has_cycles and plan.max_steps not in plan.cycle_ends:
        end = f"the last ends at {max(plan.cycle_ends):,}" if plan.cycle_ends else "the first"
        lines.append(
            f"note: step {plan.max_steps:,} is amid a learning-rate cycle ({end}); "
            "schedule=cosine ends at 0 wherever the run does"
        )
    if isinstance(run.module.passes, CompiledPasses):
        lines.append(
            "note: speed.compile=true: the first step waits for the compiler, a minute or more"
        )
    lines += data.notes
    if settings["mode"] == "train":
        lines.append(f"everything goes to {run.folder.path}")
        if run.folder.existing_checkpoints:
            lines.append("an unfinished run is there: going on where it was last saved")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def close_loggers(loggers: list[Logger]) -> None:
    """Finish the logs, so that the next job of a multirun does not write into them."""
    failed = sys.exc_info()[0] is not None
    for logger in loggers:
        logger.finalize("failed" if failed else "success")
        if isinstance(logger, WandbLogger):
            import wandb

            wandb.finish(exit_code=int(failed))
