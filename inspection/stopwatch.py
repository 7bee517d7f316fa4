"""Time and memory of each step of a Trainer."""

import time
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from callbacks import memory
from datamodules.batch import Step, Views


class Stopwatch(Callback):
    """Measure the time and memory of each step, and after the last the evaluation of its images.

    Attributes:
        seconds: of each step, including making its views.
        before: bytes held before the first step.
        held: peak bytes of each step, of the process or, on a GPU, of the GPU's memory.
        image_seconds: of evaluating one image.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.before = 0
        self.held: list[int] = []
        self.image_seconds = 0.0
        self.device = torch.device("cpu")
        self._since = 0.0

    @property
    def on_gpu(self) -> bool:
        """Whether the memory measured is a GPU's."""
        return self.device.type == "cuda"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the memory held, and start the clock."""
        self.device = pl_module.device
        self.before = self._now()
        self._start()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Step,
        batch_idx: int,
    ) -> None:
        """Note the step; after the last, evaluate its images."""
        self._wait()
        self.seconds.append(time.perf_counter() - self._since)
        peak = torch.cuda.max_memory_allocated(self.device) if self.on_gpu else memory.peak()
        self.held.append(peak)
        if trainer.global_step == trainer.max_steps:
            with trainer.precision_plugin.forward_context():
                self._judge(pl_module, batch.train)
        self._start()

    def _judge(self, module: pl.LightningModule, views: Views) -> None:
        module.eval()
        with torch.no_grad():
            for _ in range(2):  # the first warms up
                since = time.perf_counter()
                module(views.weak)
                self._wait()
                self.image_seconds = (time.perf_counter() - since) / len(views.label)
        module.train()

    def _start(self) -> None:
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            memory.forget_peak()
        self._since = time.perf_counter()

    def _now(self) -> int:
        return torch.cuda.memory_allocated(self.device) if self.on_gpu else memory.resident()

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
