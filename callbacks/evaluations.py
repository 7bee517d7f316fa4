"""Evaluation exactly at chosen steps, its history, and a checkpoint after each.

Lightning evaluates at regular intervals; we need any set of steps, such as the ends of schedule
cycles. Right after `on_train_batch_end`, Lightning compares the batch number with
`trainer.val_check_batch`, so that is where we set it. The training loader must have no length.

A checkpoint is saved only when a step is complete. If Lightning resumes from a file written in
`on_train_batch_end`, it assumes that this step's evaluation is done. So a step that is evaluated is
saved after its evaluation and never before.
"""

import math
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.trainer.states import TrainerFn

from callbacks.checkpoint_file import LAST
from callbacks.stop_signals import Stopped, StopSignals
from datamodules.atomic import atomic_replace
from lightning_modules.cpu_collectives import CollectiveError, all_gather_object, all_reduce_max


class Evaluations(Checkpoint):
    """Evaluate after chosen steps, log and store the results, save `last.ckpt`; stop when asked.

    As a `Checkpoint`, it runs after all other callbacks, so that what it saves includes their step.
    The module logs its `test/…` with `logger=False`, and they go to the loggers from here, because
    Lightning would log them at the step before.

    Args:
        steps: numbers of completed steps after which to evaluate; the run's last is always added.
        folder: where `last.ckpt` goes, and a copy `cycle_end.ckpt` at each of `cycle_ends`.
        cycle_ends: those of `steps` at which a cycle of the learning rate ends.
        save_seconds: also save between evaluations, when the last save was this long ago.
        signals: knows whether the run is asked to stop.

    Attributes:
        history: one entry per evaluation: `step`, `acc`, `acc_balanced`, `ece`, `loss`, perhaps
            `top5`; for further test sets, `<name>/acc` and so on.
        saved_step: the step of the last checkpoint, or 0.
        seconds: how long the run has been trained, over all its resumptions.
    """

    def __init__(
        self,
        steps: Collection[int],
        folder: str | Path,
        cycle_ends: Collection[int] = (),
        save_seconds: float = 300.0,
        signals: StopSignals | None = None,
    ) -> None:
        self.steps = frozenset(steps)
        self.folder = Path(folder)
        self.cycle_ends = frozenset(cycle_ends)
        self.save_seconds = save_seconds
        self.signals = signals or StopSignals()
        self.history: list[dict[str, float]] = []
        self.saved_step = 0
        self._seconds_before = 0.0
        self._started_at: float | None = None
        self._saved_at = 0.0

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the step that a run resumes from; at its last one, training does not start."""
        self.saved_step = checkpoint["global_step"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        self._started_at = self._saved_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training so far, over all resumptions, without what a killed run lost."""
        since = 0.0 if self._started_at is None else time.monotonic() - self._started_at
        return self._seconds_before + since

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Decide whether this step is evaluated; if not, save if it is time, or save and stop."""
        step = trainer.global_step
        if step in self.steps or step == trainer.max_steps:
            trainer.val_check_batch = batch_idx + 1
            return
        trainer.val_check_batch = math.inf
        save_due = time.monotonic() - self._saved_at >= self.save_seconds
        signum, save_due_anywhere = all_reduce_max(self.signals.received, int(save_due))
        if signum or save_due_anywhere:
            self._save(trainer)
        if signum:
            raise Stopped(signum)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log and store the results, then save, and stop if asked to before the last step."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        step = trainer.global_step
        names: Any = pl_module.test_names
        results = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if name.partition("/")[0] in names
        }
        for logger in trainer.loggers:
            logger.log_metrics(results, step=step)
        entry = {name.removeprefix("test/"): value for name, value in results.items()}
        self.history.append({"step": step, **entry})
        self._save(trainer)
        (signum,) = all_reduce_max(self.signals.received)
        if signum and step < trainer.max_steps:
            raise Stopped(signum)

    def _save(self, trainer: pl.Trainer) -> None:
        for logger in trainer.loggers:
            logger.save()
        problem = None
        try:
            trainer.save_checkpoint(self.folder / LAST, weights_only=False)
        except OSError as error:  # only the first rank writes; the others wait at this barrier
            problem = error.strerror or str(error)
            trainer.strategy.barrier()
        for reason in filter(None, all_gather_object(problem)):
            before = f"that of step {self.saved_step} is intact" if self.saved_step else "the first"
            raise CollectiveError(
                f"The checkpoint of step {trainer.global_step} ({before}) cannot be written to "
                f"{self.folder} ({reason}): make room there, then the same command goes on."
            )
        if trainer.global_step in self.cycle_ends and trainer.is_global_zero:
            with atomic_replace(self.folder / "cycle_end.ckpt") as partial:
                shutil.copyfile(self.folder / LAST, partial)
        self.saved_step, self._saved_at = trainer.global_step, time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return the history and the time, as plain numbers."""
        return {"history": [dict(entry) for entry in self.history], "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history and the time of the run so far."""
        self.history = [dict(entry) for entry in state_dict["history"]]
        self._seconds_before = float(state_dict["seconds"])
