"""What a run writes at its end: `results.json`, the lists of labels, the figure, the report."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch

from audit.files import write_audit
from audit.record import Audit
from callbacks.beliefs_over_time import BeliefsOverTime
from callbacks.evaluations import Evaluations
from callbacks.label_audit import LabelAudit
from callbacks.memory import peak_of_life
from callbacks.weight_histogram import BIN_UPPER, WeightHistogram, write_weights
from datamodules.atomic import write_text
from datamodules.base import NoisyLabelDataModule
from datamodules.unreadable import read_unreadable
from report.figures import draw_run
from report.page import write_report
from report.report_data import ReportData, UncheckedTests, WeightHistory
from runs.build import Plan
from runs.folder import RunFolder
from runs.next_steps import next_steps
from runs.settings import command

Results = dict[str, Any]
Metrics = dict[str, list[tuple[int, float]]]  # as `read_metrics` returns them

REPORT_FILE = "report.html"

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy")


class RunOutcome(NamedTuple):
    """What the callbacks of a run had recorded by its end, or by the time of a checkpoint."""

    steps: int
    seconds: float  # of training
    history: list[dict[str, float]]  # of evaluations
    audit: Audit
    tested: Audit  # of the test labels that nobody checked
    weights: list[WeightHistogram]

    @classmethod
    def from_trainer(cls, trainer: pl.Trainer, data: NoisyLabelDataModule) -> "RunOutcome":
        """Return what the callbacks noted, after `fit`."""
        evaluations = _find_callback(trainer, Evaluations)
        label_audit: LabelAudit = _find_callback(trainer, LabelAudit)
        return cls(
            trainer.global_step,
            evaluations.seconds,
            evaluations.history,
            label_audit.audit(data),
            label_audit.audit_tested(data),
            _find_callback(trainer, BeliefsOverTime).weights,
        )

    @classmethod
    def from_checkpoint(cls, saved: Mapping[str, Any], audit: Audit, tested: Audit) -> "RunOutcome":
        """Return what the callbacks had noted when a checkpoint was saved.

        Args:
            saved: content of the checkpoint.
            audit: of the labels, with final predictions by the checkpoint's network.
            tested: of the test labels that nobody checked, by the same network.
        """
        callback_states = saved["callbacks"]
        evaluations = callback_states["Evaluations"]
        weights = [
            WeightHistogram(*saved_weights)
            for saved_weights in callback_states["BeliefsOverTime"]["weights"]
        ]
        steps, seconds = saved["global_step"], evaluations["seconds"]
        return cls(steps, seconds, evaluations["history"], audit, tested, weights)


def write_run_results(
    outcome: RunOutcome,
    data: NoisyLabelDataModule,
    plan: Plan,
    folder: RunFolder,
    metrics: Metrics,
    measured_facts: Mapping[str, Any],
) -> Results:
    """Write everything that a run leaves behind; return its results.

    Args:
        outcome: what the callbacks noted.
        data: what the run was trained on.
        plan: how long the run was to be.
        folder: where everything goes.
        metrics: logged during training, for curves.
        measured_facts: from `process_facts`.
    """
    audit, tested = outcome.audit, outcome.tested
    results: Results = {
        **_run_names(folder),
        **_accuracies(outcome.history, plan),
        "noise/nominal_rate": data.noise,
        "noise/effective_rate": data.manifest.effective_noise,
        **write_audit(audit, data, folder.path, folder.settings["audit"], tested),
        **_test_set_facts(data, tested),
        "data/unreadable": len(read_unreadable(folder.path)),
        "steps": outcome.steps,
        "epochs": round(data.epochs(outcome.steps), 3),
        "seconds": round(outcome.seconds, 1),
        "images_per_second": _images_per_second(metrics),
        "finished": outcome.steps >= plan.max_steps,
        **measured_facts,
    }
    results = {name: None if value != value else value for name, value in results.items()}  # NaN
    if outcome.weights:
        write_weights(outcome.weights, folder.path / "weights.csv")
    _draw_figure(metrics, folder, audit, results)
    write_report(folder.path / REPORT_FILE, _report_story(outcome, metrics, data, folder, results))
    # Last, because it says that the run is finished.
    write_text(folder.path / "results.json", json.dumps(results, indent=2, allow_nan=False))
    return results


def _test_set_facts(data: NoisyLabelDataModule, tested: Audit) -> Results:
    """Return which the main test set is, its size, and how many labels are checked or doubted."""
    pictures = data.tested_pictures()
    return {
        "data/tested": len(data.test_sets[data.test_names[0]]),
        "data/tested_checked": sum(is_right for *_, is_right in pictures) if pictures else None,
        "data/tested_hash": data.test_set_hash,
        "data/tested_suspicious": int(tested.suspicious.sum()) if len(tested.index) else None,
    }


def _report_story(
    outcome: RunOutcome,
    metrics: Metrics,
    data: NoisyLabelDataModule,
    folder: RunFolder,
    results: Results,
) -> ReportData:
    tested = None
    if len(outcome.tested.index):
        pictures = data.test_sets[data.test_names[0]].images.for_evaluation
        paths = [path for path, *_ in data.tested_pictures()]
        tested = UncheckedTests(outcome.tested, pictures, paths)
    return ReportData(
        results=results,
        metrics=metrics,
        audit=outcome.audit,
        class_names=data.manifest.class_names,
        command=results["command"],
        settings=folder.settings,
        next_steps=next_steps(results["command"], folder.path, folder.settings["dataset"]),
        pictures=data.train_set.images.for_evaluation,
        files=data.paths,
        weights=WeightHistory(BIN_UPPER[:-1], outcome.weights) if outcome.weights else None,
        tested=tested,
    )


def process_facts(device: torch.device) -> Results:
    """Return what only the training process knows: memory, device, command and versions.

    Args:
        device: the one it computes on.
    """
    return {
        "peak_memory_bytes": _peak_memory(device),
        "device": _device_name(device),
        "command": command(),
        "versions": {
            "python": platform.python_version(),
            **{package: version(package) for package in PACKAGES},
        },
    }


def _find_callback(trainer: pl.Trainer, callback_class: type[Any]) -> Any:
    return next(callback for callback in trainer.callbacks if isinstance(callback, callback_class))  # type: ignore[attr-defined]


def _run_names(folder: RunFolder) -> Results:
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
    """Return the last accuracy and, marked as an oracle, the best, which must select nothing."""
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
    results |= {f"test/{name}_last": last[name] for name in ("ece", "top5") if name in last}
    # further test sets
    results |= {f"{name}_last": value for name, value in last.items() if "/" in name}
    cycles = [entry for entry in history if entry["step"] in plan.cycle_ends]
    if cycles:
        results["test/acc_cycle_end"] = cycles[-1]["acc"]
        results["test/step_cycle_end"] = int(cycles[-1]["step"])
    return results


def _images_per_second(metrics: Metrics) -> float | None:
    """Return the median over the log's windows, so that pauses do not count."""
    rates = sorted(rate for _, rate in metrics.get("images_per_second", []))
    return round(rates[len(rates) // 2], 1) if rates else None


def _peak_memory(device: torch.device) -> int:
    """Return the peak bytes of the GPU, or of the process (in a sweep: over its jobs so far)."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_of_life()


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"CPU, {torch.get_num_threads()} threads"
    return device.type


def _draw_figure(metrics: Metrics, folder: RunFolder, audit: Audit, results: Results) -> None:
    (folder.path / "figures").mkdir(exist_ok=True)
    known = audit.known
    noise = "" if results["noise"] is None else f", noise {results['noise']}"
    draw_run(
        metrics,
        f"{results['method']} on {results['dataset']}{noise}, {results['model']}, "
        f"seed {results['seed']}",
        folder.path / "figures" / "run.png",
        trust=audit.trust[known] if known.any() else audit.trust,
        wrong=audit.wrong[known] if known.any() else None,
    )
