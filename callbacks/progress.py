"""Show a run's progress: a live bar on a terminal, a plain line now and then elsewhere."""

import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn

from callbacks.evaluations import Evaluations
from callbacks.training_log import TrainingLog
from datamodules.phrases import duration

_BAR_WIDTH = 20
_NARROW = 60  # columns; a terminal with fewer has no room for the bar itself
_SECONDS_BETWEEN_REFRESHES = 0.2


def fit_line(fields: Sequence[tuple[int, str]], width: int) -> str:
    """Return the fields in order, leaving out the least important until they fit.

    Args:
        fields: (importance, text) pairs; 0 is the most important, and it always stays.
        width: available characters.
    """
    kept = list(fields)
    while len(kept) > 1 and len("  ".join(text for _, text in kept)) > width:
        kept.remove(max(kept))
    return "  ".join(text for _, text in kept)


class RunProgress(Callback):
    """Show step, pace, loss, accuracies and time left, on rank zero only; never wait for a device.

    Loss and training accuracy come from the `TrainingLog` among the callbacks.

    Args:
        plain_seconds: without a terminal, print at most one line in this time, and one for each
            evaluation.
        console: where to print; standard output by default.
    """

    def __init__(self, plain_seconds: float = 10.0, console: Console | None = None) -> None:
        self.plain_seconds = plain_seconds
        self.console = console or Console()
        self._live: Progress | None = None
        self._training: TaskID | None = None
        self._evaluation: TaskID | None = None
        self._log: TrainingLog | None = None
        self._test_acc: float | None = None
        self._refreshed_at = 0.0
        # the first step of a process includes the warm-up, so the pace is counted from its end
        self._pace_start: tuple[int, float] | None = None
        self._started_at = 0.0
        self._evaluation_seconds = 0.0  # seconds spent in evaluation

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar at the step the run starts or resumes from."""
        self._pace_start, self._evaluation_seconds = None, 0.0
        self._started_at = self._refreshed_at = time.monotonic()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, TrainingLog):
                self._log = callback
            if isinstance(callback, Evaluations) and callback.history:
                self._test_acc = callback.history[-1].get("acc")
        if (
            trainer.is_global_zero
            and self.console.is_terminal
            and not self.console.is_dumb_terminal
        ):
            text = TextColumn("{task.description}", markup=False)
            wide = self.console.width >= _NARROW
            columns: list[ProgressColumn] = [BarColumn(_BAR_WIDTH), text] if wide else [text]
            # refreshed by hand, so that no thread runs beside training
            self._live = Progress(*columns, console=self.console, auto_refresh=False)
            self._live.start()
            self._training = self._live.add_task("", total=trainer.max_steps)
            self._refresh(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Refresh when it is time."""
        now = time.monotonic()
        if self._pace_start is None:
            self._pace_start = trainer.global_step, now
        seconds_between = self.plain_seconds if self._live is None else _SECONDS_BETWEEN_REFRESHES
        if now - self._refreshed_at >= seconds_between:
            self._refresh(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the evaluation beneath the run."""
        self._evaluation_seconds -= time.monotonic()
        if self._live is not None:
            total = sum(trainer.num_val_batches)
            self._evaluation = self._live.add_task(f"evaluating, {total} batches", total=total)
            self._live.refresh()

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Advance the evaluation's bar."""
        if self._live is not None and self._evaluation is not None:
            self._live.advance(self._evaluation)
            if time.monotonic() - self._refreshed_at >= _SECONDS_BETWEEN_REFRESHES:
                self._refreshed_at = time.monotonic()
                self._live.refresh()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the new test accuracy."""
        self._evaluation_seconds += time.monotonic()
        if "test/acc" in trainer.callback_metrics:
            self._test_acc = float(trainer.callback_metrics["test/acc"])
        if self._live is not None and self._evaluation is not None:
            self._live.remove_task(self._evaluation)
            self._evaluation = None
        self._refresh(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar, leaving its last state on the screen."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Close the bar."""
        self._close()

    def teardown(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Close the bar, whatever happened."""
        self._close()

    def _close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _refresh(self, trainer: pl.Trainer) -> None:
        self._refreshed_at = time.monotonic()
        if self._live is not None:
            assert self._training is not None
            narrow = self.console.width < _NARROW
            width = self.console.width - (0 if narrow else _BAR_WIDTH + 1)
            line = fit_line(self._fields(trainer), width)
            self._live.update(self._training, completed=trainer.global_step, description=line)
            self._live.refresh()
        elif trainer.is_global_zero:
            # wider than any terminal: a log file has no width
            self.console.print(
                fit_line(self._fields(trainer), 1000), markup=False, highlight=False, soft_wrap=True
            )

    def _fields(self, trainer: pl.Trainer) -> list[tuple[int, str]]:
        step, now = trainer.global_step, time.monotonic()
        fields = [(0, f"step {step}/{trainer.max_steps}")]
        latest = self._log.latest if self._log else {}
        pace, left = self._pace(step, trainer.max_steps, now)
        if pace is not None:
            fields.append((4, f"{pace:.3g} steps/s"))
        if "train/loss" in latest:
            fields.append((1, f"loss {latest['train/loss']:.4g}"))
        if "train/acc" in latest:
            fields.append((5, f"train acc {latest['train/acc']:.3f}"))
        if self._test_acc is not None:
            fields.append((2, f"test acc {self._test_acc:.3f}"))
        fields.append((6, f"{duration(now - self._started_at)} gone"))
        if left is not None:
            fields.append((3, f"{duration(left)} left"))
        return fields

    def _pace(self, step: int, last: int, now: float) -> tuple[float | None, float | None]:
        if self._pace_start is None or step == self._pace_start[0]:
            return None, None
        steps, seconds = step - self._pace_start[0], now - self._pace_start[1]
        training = max(seconds - self._evaluation_seconds, 1e-9)
        # assumes that evaluations go on taking the same share of the time
        return steps / training, (last - step) * seconds / steps
