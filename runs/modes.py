"""What `mode=` chooses: train, check (all but the training) or evaluate."""

import json
from typing import Any

from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from rich.console import Console

from datamodules.base import NoisyLabelDataModule
from runs import evaluate as evaluation
from runs.build import (
    Plan,
    build_callbacks,
    build_data,
    build_module,
    build_schedule,
    build_trainer,
)
from runs.folder import RunFolder
from runs.loggers import build_loggers
from runs.results import finish, show
from runs.settings import Settings

Results = dict[str, Any]


def train(settings: Settings) -> Results:
    """Train, or go on with training, or say that it is done."""
    first = is_first_rank()
    console = Console(quiet=not first)
    folder = RunFolder(settings)
    # Everything that can be refused without reading data is refused before a folder is touched.
    data = build_data(settings)
    schedule, plan = build_schedule(settings, data)
    module = build_module(settings, data, schedule)
    if first and settings["fresh"] and (aside := folder.set_aside()):
        console.print(f"fresh=true: what was in {folder.path} is now in {aside}", soft_wrap=True)
    folder.check()
    if results := folder.results():
        console.print(f"This run is finished; fresh=true starts it again: {folder.path}")
        show(results, folder.path, console)
        return results

    read(data, console)
    if first:
        folder.open()
        data.manifest.save(folder.path)
    announce(settings, data, plan, module, folder, console)

    facts = {"effective_noise": data.manifest.summary()["effective_noise"]}
    loggers = build_loggers(settings, folder.path, facts)
    callbacks = build_callbacks(settings, data, plan, folder)
    trainer = build_trainer(settings, plan.max_steps, callbacks, loggers)
    resume_from = folder.last if folder.last.exists() else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=resume_from, weights_only=True)
        if not first:
            return {}
        results = finish(trainer, data, plan, folder)
    finally:
        close(loggers)
    show(results, folder.path, console)
    return results


def check(settings: Settings) -> Results:
    """Do all that comes before training, and say whether training would start."""
    console = Console()
    folder = RunFolder(settings)
    folder.check()
    data = build_data(settings)
    schedule, plan = build_schedule(settings, data)
    module = build_module(settings, data, schedule)
    read(data, console)
    announce(settings, data, plan, module, folder, console)
    console.print("mode=check: training would start.")
    return {"manifest": data.manifest.hash, "max_steps": plan.max_steps}


def evaluate(settings: Settings, overrides: list[str]) -> Results:
    """Evaluate a checkpoint and print what was found."""
    results = evaluation.evaluate(settings, overrides)
    print(json.dumps(results, indent=2))
    return results


def is_first_rank() -> bool:
    """Return whether this process is the one that writes and speaks; known before a Trainer is."""
    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


def read(data: NoisyLabelDataModule, console: Console) -> None:
    """Fetch what is missing, read the data, and draw probe and noise."""
    console.print(f"reading {data.name} ({data.data_dir})", soft_wrap=True, highlight=False)
    if is_first_rank():
        data.prepare_data()
    data.setup("fit")


def announce(
    settings: Settings,
    data: NoisyLabelDataModule,
    plan: Plan,
    module: Any,
    folder: RunFolder,
    console: Console,
) -> None:
    """Print what follows from the settings, before the first step."""
    size = sum(value.numel() for value in module.net.parameters())
    choices = settings["choices"]
    epochs = plan.max_steps * data.batch_size / data.num_train
    lines = [
        data.manifest.describe(),
        f"{choices['method']} with {choices['model']}, {size:,} parameters; {plan.max_steps:,} "
        f"steps of {data.batch_size} ({epochs:.1f} epochs), {len(plan.evaluate_at)} evaluations",
    ]
    if plan.cycle_ends and plan.max_steps not in plan.cycle_ends:
        end = max(plan.cycle_ends)
        lines.append(
            f"note: step {plan.max_steps:,} is amid a learning-rate cycle (one ends "
            f"at {end:,}); schedule=cosine ends at 0 wherever the run does"
        )
    lines.append(f"everything goes to {folder.path}")
    if folder.last.exists():
        lines.append("an unfinished run is there: going on where it was last saved")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def close(loggers: list[Logger]) -> None:
    """End what is logged, so that the next job of a multirun does not write into it."""
    for logger in loggers:
        logger.finalize("success")
        if isinstance(logger, WandbLogger):
            import wandb

            wandb.finish()
