"""Training metrics, averaged over windows of steps and sent to every logger."""

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import Strategy
from torch import Tensor

from audit.detection import auroc, average_precision
from callbacks.memory import resident
from callbacks.noise_metrics import (
    accuracy_metrics,
    belief_metrics,
    class_counts,
    detection_metrics,
    group_sums,
    suspicion_pairs,
)
from datamodules.batch import Batch
from lightning_modules.cpu_collectives import all_gather_object, all_reduce_max, own_entry
from lightning_modules.objective import Objective


class Window:
    """Sums over the steps since the last row, kept on the device so that no step waits for them.

    Its state can be saved, so that a run resumed within a window logs the same as without a stop.
    """

    def __init__(self) -> None:
        # the quantities' names → their summed numerators and denominators, (2, number of names)
        self._sums: dict[tuple[str, ...], Tensor] = {}
        self._classes: Tensor | None = None  # (C,) argmax pseudo-labels
        self._suspicion: list[Tensor] = []  # of (B, 2)

    @torch.no_grad()
    def add(self, objective: Objective, batch: Batch) -> None:
        """Add one step."""
        given, clean = batch.label, batch.clean_label
        weight = objective.relative_weight
        if weight is not None:
            self._suspicion.append(suspicion_pairs(given, clean, weight))
        if objective.pseudo_label is not None:
            counts, counts_so_far = class_counts(objective.pseudo_label), self._classes
            self._classes = (
                counts if counts_so_far is None else counts_so_far.to(counts.device) + counts
            )
        scalars = objective.scalars
        grouped = {
            **accuracy_metrics(objective.logits, given, clean),
            **detection_metrics(objective.logits, given, clean),
            **belief_metrics(given, clean, weight, objective.label_mix, objective.pseudo_label),
        }
        scalar_values = torch.stack([value.float() for value in scalars.values()])
        scalar_sums = torch.stack([scalar_values, torch.ones_like(scalar_values)])
        step_sums = torch.cat([scalar_sums, group_sums(grouped.values())], dim=1)
        names = (*scalars, *grouped)
        sums_so_far = self._sums.get(names)
        self._sums[names] = (
            step_sums if sums_so_far is None else sums_so_far.to(step_sums.device) + step_sums
        )

    def means(self, strategy: Strategy) -> dict[str, float]:
        """Return the means over steps and ranks; call this once, as ranks are summed in place.

        This waits for the device.
        """
        totals: dict[str, list[float]] = {}
        for names, total_sums in self._sums.items():
            numerators, denominators = strategy.reduce(total_sums, reduce_op="sum").tolist()
            for name, numerator, denominator in zip(names, numerators, denominators, strict=True):
                total = totals.setdefault(name, [0.0, 0.0])
                total[0] += numerator
                total[1] += denominator
        metrics = {name: num / den for name, (num, den) in totals.items() if den > 0}
        if self._suspicion:
            # a state loaded from a file lies on the CPU
            device = self._suspicion[-1].device
            pairs = torch.cat([part.to(device) for part in self._suspicion])
            pairs = strategy.all_gather(pairs).reshape(-1, 2)
            ranking_metrics = {"weight/auroc": auroc(pairs), "weight/ap": average_precision(pairs)}
            metrics |= {name: value for name, value in ranking_metrics.items() if value is not None}
        if self._classes is not None:
            counts = strategy.reduce(self._classes, reduce_op="sum")
            metrics["pseudo/top_class_share"] = float(counts.max() / counts.sum())
        return metrics

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        return {
            "sums": {names: total.cpu() for names, total in self._sums.items()},
            "classes": None if self._classes is None else self._classes.cpu(),
            "suspicion": [part.cpu() for part in self._suspicion],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore saved sums."""
        self._sums, self._classes = dict(state["sums"]), state["classes"]
        self._suspicion = list(state["suspicion"])


class TrainingLog(Callback):
    """Log the mean of every `every` steps: losses, accuracies, pace, and beliefs about labels.

    docs/metrics.md defines each name.

    `training_step` must return `{"objective": Objective, "batch": Batch}`; the data module must
    have `batch_size` (over all devices) and `epochs`.

    Args:
        every: steps in a window, at least 1; the last window of a run may be shorter.

    Attributes:
        latest: the last window's metrics.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self.latest: dict[str, float] = {}
        self._window = Window()
        # the clock stops during evaluation and is not saved: it measures this machine
        self._steps = 0
        self._seconds = 0.0
        self._clock_started = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make loggers drop the steps that a resumed run will repeat."""
        for logger in trainer.loggers:
            if hasattr(logger, "truncate_after"):
                logger.truncate_after(trainer.global_step)
        self._steps, self._seconds, self._clock_started = 0, 0.0, time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add the step; at the end of a window, log its means."""
        self._window.add(outputs["objective"], outputs["batch"])
        self._steps += 1
        step = trainer.global_step
        if step % self.every == 0 or step == trainer.max_steps:
            metrics = self._window.means(trainer.strategy)
            self._window = Window()
            self.latest = {**metrics, **self._pace(trainer)}
            for logger in trainer.loggers:
                logger.log_metrics(self.latest, step=step)

    def _pace(self, trainer: pl.Trainer) -> dict[str, float]:
        now = time.perf_counter()
        seconds = self._seconds + now - self._clock_started
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        pace = {
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "epoch": data.epochs(trainer.global_step),
            "images_per_second": self._steps * data.batch_size / seconds,
            "memory_bytes": float(*all_reduce_max(_memory(trainer.strategy.root_device))),
        }
        self._steps, self._seconds, self._clock_started = 0, 0.0, now
        return pace

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._seconds += time.perf_counter() - self._clock_started

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock again."""
        self._clock_started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """Return every rank's open window, and the metrics of the last closed one."""
        windows = all_gather_object(self._window.state_dict())
        return {"windows": windows, "latest": dict(self.latest)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore this rank's open window."""
        self._window.load_state_dict(own_entry(state_dict["windows"]))
        self.latest = dict(state_dict["latest"])


def _memory(device: torch.device) -> int:
    """Return the peak of bytes allocated on a GPU or, without one, the process's bytes now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)  # does not wait for it
    return resident()
