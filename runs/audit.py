"""`mode=audit`: write the lists of labels and the report again, from a checkpoint."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from callbacks.checkpoint_file import LAST
from callbacks.csv_log import read_metrics
from callbacks.label_audit import LabelAudit
from runs.build import build_trainer
from runs.closing_table import print_closing_table
from runs.folder import RunFolder
from runs.ranks import is_first_rank
from runs.reopen import ReopenedRun, reopen
from runs.results import Metrics, RunOutcome, process_facts, write_run_results
from runs.settings import Settings

Results = dict[str, Any]


def audit(settings: Settings) -> Results:
    """Judge every label by a checkpoint's network, and write what a run writes at its end.

    What only the run itself could measure is copied from its results, if it has any.

    Args:
        settings: of the command; `audit` decides what is written, `run_dir` where; null: to the
            run folder that the checkpoint lies in.

    Returns:
        The results, and the checkpoint's `settings`, by which a multirun tells them apart.

    Raises:
        ValueError: if there is no such checkpoint, it does not fit the settings or the data, it
            holds no audit, or the results cannot be written.
    """
    if not is_first_rank():  # one process looks at all labels
        return {}
    console = Console()
    reopened = reopen(settings, "fit")
    folder = RunFolder({**reopened.settings, "run_dir": str(_output_folder(settings, reopened))})
    _make_writable_folder(folder.path)
    reopened.data.unreadable.write_to(folder.path)
    trainer = build_trainer(reopened.settings, max_steps=1, callbacks=[])
    state = reopened.saved["callbacks"].get("LabelAudit")
    label_audit = LabelAudit.saved(state, str(reopened.path))
    label_audit.run_final_pass(reopened.module, reopened.data, trainer)
    outcome = RunOutcome.from_checkpoint(
        reopened.saved,
        label_audit.audit(reopened.data),
        label_audit.audit_tested(reopened.data),
    )
    facts_of_process = process_facts(trainer.strategy.root_device)
    measured_facts = _measured_facts(folder, reopened.saved, facts_of_process)
    results = write_run_results(
        outcome,
        reopened.data,
        reopened.plan,
        folder,
        _metrics_until_checkpoint(reopened, folder),
        measured_facts,
    )
    print_closing_table(results, folder.path, console)
    return {**results, "settings": reopened.settings}


def _output_folder(settings: Settings, reopened: ReopenedRun) -> Path:
    """Return where to write; only its last checkpoint may replace a run's own results."""
    own_folder = reopened.folder
    if own_folder is not None and reopened.path.name != LAST:
        own_folder = own_folder / f"audit-{reopened.path.stem}"
    folder = Path(settings["run_dir"]) if settings["run_dir"] else own_folder
    if folder is None:
        raise ValueError(
            f"{reopened.path} does not lie in the folder of a run: give run_dir=<folder to write "
            "to>."
        )
    if folder != own_folder and (folder / "config.yaml").exists():
        raise ValueError(
            f"run_dir={folder} holds another run, whose results would be lost: give another "
            "run_dir."
        )
    return folder


def _metrics_until_checkpoint(reopened: ReopenedRun, folder: RunFolder) -> Metrics:
    """Return the metrics of the run up to the checkpoint."""
    metrics = read_metrics((reopened.folder or folder.path) / "metrics.csv")
    last = reopened.saved["global_step"]
    so_far = {
        name: [point for point in curve if point[0] <= last] for name, curve in metrics.items()
    }
    return {name: curve for name, curve in so_far.items() if curve}


def _make_writable_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ValueError(f"{folder} cannot be written: give run_dir=<folder to write to>.")


def _measured_facts(
    folder: RunFolder, saved: Mapping[str, Any], facts_of_process: Results
) -> Results:
    """Return what the run measured, if it ended at this checkpoint, else what holds now."""
    own_results = folder.read_results()
    # the run's command, not this one: the report says how to continue the run
    facts_of_process = {
        **facts_of_process,
        "command": saved["experiment"].get("command", facts_of_process["command"]),
    }
    if own_results.get("steps") != saved["global_step"]:
        return facts_of_process
    return {
        **facts_of_process,
        **{
            name: own_results[name]
            for name in ("seconds", *facts_of_process)
            if name in own_results
        },
    }
