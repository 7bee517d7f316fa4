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
from runs.closing_table import show
from runs.folder import RunFolder
from runs.ranks import is_first_rank
from runs.reopen import Reopened, reopen
from runs.results import Ended, Metrics, leave, surroundings
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
    opened = reopen(settings, "fit")
    folder = RunFolder({**opened.settings, "run_dir": str(_place(settings, opened))})
    _make(folder.path)
    opened.data.unreadable.write_to(folder.path)
    trainer = build_trainer(opened.settings, max_steps=1, callbacks=[])
    state = opened.saved["callbacks"].get("LabelAudit")
    noted = LabelAudit.saved(state, str(opened.path))
    noted.run_final_pass(opened.module, opened.data, trainer)
    ended = Ended.of_checkpoint(opened.saved, noted.audit(opened.data))
    here = surroundings(trainer.strategy.root_device)
    measured = _measured(folder, opened.saved, here)
    results = leave(ended, opened.data, opened.plan, folder, _course(opened, folder), measured)
    show(results, folder.path, console)
    return {**results, "settings": opened.settings}


def _place(settings: Settings, opened: Reopened) -> Path:
    """Return where to write; only its last checkpoint may replace a run's own results."""
    own = opened.folder
    if own is not None and opened.path.name != LAST:
        own = own / f"audit-{opened.path.stem}"
    place = Path(settings["run_dir"]) if settings["run_dir"] else own
    if place is None:
        raise ValueError(
            f"{opened.path} does not lie in the folder of a run: give run_dir=<folder to write to>."
        )
    if place != own and (place / "config.yaml").exists():
        raise ValueError(
            f"run_dir={place} holds another run, whose results would be lost: give another run_dir."
        )
    return place


def _course(opened: Reopened, folder: RunFolder) -> Metrics:
    """Return the metrics of the run up to the checkpoint."""
    metrics = read_metrics((opened.folder or folder.path) / "metrics.csv")
    last = opened.saved["global_step"]
    so_far = {name: [one for one in curve if one[0] <= last] for name, curve in metrics.items()}
    return {name: curve for name, curve in so_far.items() if curve}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ValueError(f"{folder} cannot be written: give run_dir=<folder to write to>.")


def _measured(folder: RunFolder, saved: Mapping[str, Any], here: Results) -> Results:
    """Return what the run measured, if it ended at this checkpoint, else what holds now."""
    told = folder.told()
    # the run's command, not this one: the report says how to continue the run
    here = {**here, "command": saved["experiment"].get("command", here["command"])}
    if told.get("steps") != saved["global_step"]:
        return here
    return {**here, **{name: told[name] for name in ("seconds", *here) if name in told}}
