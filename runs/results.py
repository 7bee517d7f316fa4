"""The end of a run: `results.json`, the suspicious labels, the picture and a short table."""

import json
import platform
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from rich.console import Console
from rich.table import Table

from callbacks.csv_log import read_metrics
from callbacks.evaluations import Evaluations
from callbacks.figures import draw_run
from callbacks.label_audit import Audit, LabelAudit, write_labels
from datamodules.base import NoisyLabelDataModule
from datamodules.unreadable import FILE as UNREADABLE
from datamodules.unreadable import read_unreadable
from inspection.memory import peak_of_life
from runs.build import Plan
from runs.folder import RunFolder, write_atomically
from runs.loggers import sync_hint

Results = dict[str, Any]

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


def finish(
    trainer: pl.Trainer, data: NoisyLabelDataModule, plan: Plan, folder: RunFolder
) -> tuple[Results, Audit]:
    """Write all that a finished (or stopped) run leaves behind; return its results and its audit.

    Args:
        trainer: after `fit`.
        data: what it was trained on.
        plan: how long it was to be.
        folder: where everything goes.
    """
    evaluations = _callback(trainer, Evaluations)
    audit = _callback(trainer, LabelAudit).audit(data)
    results: Results = {
        **_names(folder),
        **_accuracies(evaluations.history, plan),
        **_noise(data, audit),
        "data/unreadable": len(read_unreadable(folder.path)),
        "steps": trainer.global_step,
        "epochs": round(trainer.global_step * data.batch_size / data.num_train, 3),
        "seconds": round(evaluations.seconds, 1),
        "images_per_second": _images_per_second(folder.path),
        "peak_memory_bytes": _peak_memory(),
        "finished": trainer.global_step >= plan.max_steps,
        "command": command(),
        "versions": {
            "python": platform.python_version(),
            **{one: version(one) for one in PACKAGES},
        },
    }
    results = {name: None if value != value else value for name, value in results.items()}  # NaN
    names = data.manifest.class_names
    write_labels(audit, names, folder.path / "labels.csv", data.paths)
    _draw(folder, audit, results)
    # Last, because it says that the run is finished.
    write_atomically(folder.path / "results.json", json.dumps(results, indent=2, allow_nan=False))
    return results, audit


def saved_step(trainer: pl.Trainer) -> int:
    """Return the step of the run's last checkpoint."""
    return int(_callback(trainer, Evaluations).saved_step)


def command() -> str:
    """Return what would do this run alone, also when it is a job of a multirun."""
    words = HydraConfig.get().overrides.task if HydraConfig.initialized() else sys.argv[1:]
    return shlex.join(["python", "train.py", *words])


def _callback(trainer: pl.Trainer, kind: type[Any]) -> Any:
    return next(one for one in trainer.callbacks if isinstance(one, kind))  # type: ignore[attr-defined]


def _names(folder: RunFolder) -> Results:
    settings = folder.settings
    choices = settings["choices"]
    return {
        "dataset": choices.get("dataset"),
        "noise": settings["noise"],
        "method": choices.get("method"),
        "model": choices.get("model"),
        "seed": settings["seed"],
        "run_dir": str(folder.path),
    }


def _accuracies(history: list[dict[str, float]], plan: Plan) -> Results:
    """Return the last accuracy, and beside it what must not be selected by: the best."""
    if not history:
        return {}
    last = history[-1]
    best = max(history, key=lambda entry: entry["acc"])
    results: Results = {
        "test/acc_last": last["acc"],
        "test/acc_balanced_last": last["acc_balanced"],
        "test/loss_last": last["loss"],
        "test/acc_best_oracle": best["acc"],
        "test/step_best_oracle": int(best["step"]),
    }
    if "top5" in last:
        results["test/top5_last"] = last["top5"]
    # further test sets
    results |= {f"{name}_last": value for name, value in last.items() if "/" in name}
    cycles = [entry for entry in history if entry["step"] in plan.cycle_ends]
    if cycles:
        results["test/acc_cycle_end"] = cycles[-1]["acc"]
        results["test/step_cycle_end"] = int(cycles[-1]["step"])
    return results


def _noise(data: NoisyLabelDataModule, audit: Audit) -> Results:
    results: Results = {
        "noise/nominal_rate": data.noise,
        "noise/effective_rate": data.manifest.effective_noise,
        "noise/auroc": audit.auroc(audit.trust),
    }
    if len(audit.weight) and audit.weight[0] == audit.weight[0]:
        results["noise/auroc_weight"] = audit.auroc(audit.weight)
    return results


def _images_per_second(folder: Path) -> float | None:
    """Return the median over the log's windows, so that pauses do not count."""
    rates = sorted(
        rate for _, rate in read_metrics(folder / "metrics.csv").get("images_per_second", [])
    )
    return round(rates[len(rates) // 2], 1) if rates else None


def _peak_memory() -> int:
    """Return the GPU's peak of this run, or the whole process's; in a sweep, of its jobs so far."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return peak_of_life()


def _draw(folder: RunFolder, audit: Audit, results: Results) -> None:
    (folder.path / "figures").mkdir(exist_ok=True)
    known = audit.known
    noise = "" if results["noise"] is None else f", noise {results['noise']}"
    draw_run(
        read_metrics(folder.path / "metrics.csv"),
        f"{results['method']} on {results['dataset']}{noise}, {results['model']}, "
        f"seed {results['seed']}",
        folder.path / "figures" / "run.png",
        trust=audit.trust[known] if known.any() else audit.trust,
        wrong=audit.wrong[known] if known.any() else None,
    )


def show(results: Results, folder: Path, console: Console | None = None) -> None:
    """Print the short table that ends a run."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(width=120)
    table = Table(show_header=False, title="Result" if results["finished"] else "Result so far")
    table.add_column(style="bold")
    table.add_column(overflow="fold")

    def add(name: str, key: str, text: str = "{:.2%}", note: str = "") -> None:
        if results.get(key) is not None:
            table.add_row(name, text.format(results[key]) + note)

    add("test accuracy, last", "test/acc_last")
    add("test accuracy, top 5", "test/top5_last")
    add("… mean over classes", "test/acc_balanced_last")
    for key in results:
        name, _, what = key.partition("/")
        if name != "test" and what in ("acc_last", "top5_last"):
            add(f"{name} accuracy, {'last' if what == 'acc_last' else 'top 5'}", key)
    if results.get("test/step_cycle_end") not in (None, results["steps"]):
        note = f"  (step {results['test/step_cycle_end']}, cycle_end.ckpt)"
        add("… at the last cycle's end", "test/acc_cycle_end", note=note)
    best = f"  (step {results.get('test/step_best_oracle')}; chosen by test data, not a result)"
    add("test accuracy, best", "test/acc_best_oracle", note=best)
    add("wrong labels found, AUROC", "noise/auroc", "{:.4f}", "  by trust score")
    add("… by example weight", "noise/auroc_weight", "{:.4f}")
    if results["noise/effective_rate"] is None:
        table.add_row("wrong labels found", "not known: no true labels are given to compare with")
    elif not results["noise/effective_rate"]:
        table.add_row("wrong labels found", "there are none to find")
    add("steps", "steps", "{:,}", f"  ({results['epochs']:g} epochs)")
    add("time", "seconds", "{:,.0f} s", f"  ({results.get('images_per_second')} images/s)")
    if results["data/unreadable"]:
        row = f"{results['data/unreadable']:,} pictures, shown as grey: {folder / UNREADABLE}"
        table.add_row("not readable", row)
    table.add_row("picture", str(folder / "figures" / "run.png"))
    table.add_row("suspicious labels", str(folder / "labels.csv"))
    table.add_row("everything", str(folder))
    console.print(table)
    if hint := sync_hint(folder):
        console.print(hint, soft_wrap=True, highlight=False)
