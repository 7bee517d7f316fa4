"""`mode=train`: train, resume, or show the results of a finished run."""

import errno
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger, WandbLogger
from rich.console import Console

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
from runs.closing_table import show
from runs.folder import RunFolder
from runs.last_words import LastWords, last_words
from runs.loggers import build_loggers
from runs.ranks import first_rank_first, is_first_rank, leave_at_once
from runs.results import Ended, leave, surroundings
from runs.resume import check_length, set_damaged_aside
from runs.settings import Settings
from runs.wandb_page import put_on_page
from runs.wandb_run import of_a_sweep

Results = dict[str, Any]

# The disk is full, the quota is used up, or the file system has become read-only.
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


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
    first = is_first_rank()
    console = Console(quiet=not first)
    run = prepare(settings)
    with first_rank_first(run.trainer):
        if first:
            refuse_folder(run)
        results = None if settings["fresh"] else run.folder.results()
        if results and results["steps"] >= run.plan.max_steps:
            if first:
                refuse_changed_lists(run)
            console.print(f"This run is finished; fresh=true starts it again: {run.folder.path}")
            say_whose_lists(run, console)
            show(results, run.folder.path, console)
            if first and of_a_sweep():
                tell_sweep(settings, results, run.folder.path)
            return results
        read(run.data, console)
        if first:
            refuse_network(run)
            if settings["fresh"] and (aside := run.folder.set_aside()):
                console.print(f"fresh=true: the old run is now in {aside}", soft_wrap=True)
            run.folder.open()
            run.data.manifest.save(run.folder.path)
            run.data.save_for_evaluation(run.folder.path)
            set_damaged_aside(run.folder, run.data.manifest.hash, console)
    run.data.unreadable.write_to(run.folder.path)
    announce(run, console)
    device = run.trainer.strategy.root_device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    facts = {"effective_noise": run.data.manifest.effective_noise}
    loggers = run.trainer.loggers = build_loggers(settings, run.folder.path, facts)
    resume_from = next(iter(run.folder.saved), None)
    try:
        with run.signals:
            run.trainer.fit(
                run.module, datamodule=run.data, ckpt_path=resume_from, weights_only=True
            )
            if not first:
                return {}
            ended = Ended.of(run.trainer, run.data)
            metrics = read_metrics(run.folder.path / "metrics.csv")
            here = surroundings(device)
            results = leave(ended, run.data, run.plan, run.folder, metrics, here)
            for logger in loggers:
                if isinstance(logger, WandbLog):
                    put_on_page(logger, results, run.folder.path, ended.audit, run.data)
    except BaseException as error:
        if run.trainer.world_size > 1 and not isinstance(error, CollectiveError | Stopped):
            leave_at_once()
        if isinstance(error, OSError) and error.errno in _NO_PLACE:
            raise ValueError(
                f"run_dir={run.folder.path} cannot be written any more ({error.strerror}): make "
                "room there, then the same command goes on where it was last saved."
            ) from error
        if first and not isinstance(error, ValueError):
            print(last_words(run.folder, run.trainer, run.signals.received), file=sys.stderr)
        raise
    finally:
        close(loggers)
        run.folder.close()
    show(results, run.folder.path, console)
    return results


def refuse_changed_lists(run: Run) -> None:
    """Refuse to show a finished run whose lists of pictures have changed since.

    Other data sets are not checked: they are not read yet, and their results can be shown without
    the data.

    Raises:
        ValueError: if they have changed.
    """
    if isinstance(run.data, PictureDataModule):
        run.data.drawn_manifest.check_saved(run.folder.path)


def say_whose_lists(run: Run, console: Console) -> None:
    """Say so if a finished run's lists of labels were written with other settings of `audit`."""
    saved, given = (
        (run.folder.saved_settings() or {}).get("audit", {}),
        run.folder.settings["audit"],
    )
    written = [f"audit.{key}={saved[key]}" for key in saved if saved[key] != given.get(key)]
    if written:
        console.print(
            f"Its lists of labels were written with {', '.join(written)} when it ended; the same "
            "command with mode=audit writes them anew.",
            soft_wrap=True,
            highlight=False,
        )


def tell_sweep(settings: Settings, results: Results, folder: Path) -> None:
    """Give a W&B sweep's agent the history and the results of a run that had finished before."""
    facts = {"effective_noise": results["noise/effective_rate"]}
    loggers = build_loggers(settings, folder, facts)
    try:
        for logger in loggers:
            if isinstance(logger, WandbLog):
                put_on_page(logger, results, folder)
    finally:
        close(loggers)


def prepare(settings: Settings) -> Run:
    """Build everything that needs no data; refuse settings that cannot work with one another."""
    folder = RunFolder(settings)
    data = build_data(settings)
    schedule, plan = build_schedule(settings, data)
    module = build_module(settings, data, schedule)
    # mode=check lists a missing probe set among its findings instead
    refuses = is_first_rank() and settings["mode"] != "check"
    if module.uses_probe and not data.num_probe and refuses:
        raise ValueError(data.advice_without_probe())
    signals = StopSignals()
    callbacks = build_callbacks(settings, data, plan, folder, signals)
    callbacks.insert(1, LastWords(folder))  # so that its `on_fit_end` runs before `LabelAudit`'s
    trainer = build_trainer(settings, plan.max_steps, callbacks)
    if module.recorded_step is not None:
        refuse_recording(trainer)
    return Run(folder, data, schedule, plan, module, trainer, signals)


def refuse_recording(trainer: pl.Trainer) -> None:
    """Raise a `ValueError` if steps on these devices cannot be recorded as a CUDA graph."""
    kind, count = trainer.strategy.root_device.type, trainer.world_size
    if kind != "cuda" or count > 1:
        raise ValueError(
            f"speed.cuda_graph=true is for one NVIDIA GPU, and this run is on {count} x {kind}: "
            "leave speed.cuda_graph out."
        )


def refuse_folder(run: Run) -> None:
    """Raise a `ValueError` if this run, or one of this length, cannot use the folder."""
    run.folder.check()
    check_length(run.folder, run.data, run.schedule, run.plan)


def refuse_network(run: Run) -> None:
    """Raise a `ValueError` if the network does not fit the pictures or the number of classes."""
    some, device = run.data.train_set, run.trainer.strategy.root_device
    one = some.images.for_evaluation(some.index[:1])
    recorded = run.module.recorded_step is not None
    check_network(run.module.net, one, run.data.num_classes, device.type, recorded=recorded)


def read(data: NoisyLabelDataModule, console: Console) -> None:
    """Download what is missing, read the data, and draw probe and noise."""
    console.print(f"reading {data.name}", highlight=False)
    if is_first_rank():
        data.prepare_data()
    data.setup("fit")


def announce(run: Run, console: Console) -> None:
    """Print, before the first step, what follows from the settings."""
    data, plan, settings = run.data, run.plan, run.folder.settings
    choices = settings["choices"]
    size = sum(value.numel() for value in run.module.net.parameters())
    lines = [
        data.manifest.describe(),
        f"{choices['method']} with {choices['model']}, {size:,} parameters; {plan.max_steps:,} "
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
        if run.folder.saved:
            lines.append("an unfinished run is there: going on where it was last saved")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def close(loggers: list[Logger]) -> None:
    """Finish the logs, so that the next job of a multirun does not write into them."""
    failed = sys.exc_info()[0] is not None
    for logger in loggers:
        logger.finalize("failed" if failed else "success")
        if isinstance(logger, WandbLogger):
            import wandb

            wandb.finish(exit_code=int(failed))
