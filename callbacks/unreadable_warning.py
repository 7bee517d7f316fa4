"""Warn about pictures that could not be read, during a run."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from datamodules.unreadable import FILE, read_unreadable
from lightning_modules.cpu_collectives import rank


class UnreadableWarning(Callback):
    """Before the first step and after evaluations, report pictures that could not be read.

    Args:
        folder: the run's folder, where these pictures are recorded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reported_count = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report pictures that failed before training."""
        self._report_new()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report pictures that failed since the last report."""
        self._report_new()

    def _report_new(self) -> None:
        if rank() != 0:
            return
        count = len(read_unreadable(self.folder))
        if count > self._reported_count:
            self._reported_count = count
            print(
                f"warning: {count:,} pictures could not be read so far and are shown as grey ones; "
                f"they are listed in {self.folder / FILE}"
            )
