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
        memory_before: bytes held before the first step.
        peak_memory: peak bytes of each step, of the process or, on a GPU, of its memory.
        image_seconds: of evaluating one image.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.memory_before = 0
        self.peak_memory: list[int] = []
        self.image_seconds = 0.0
        self.device = torch.device("cpu")
        self._step_started = 0.0

    @property
    def on_gpu(self) -> bool:
        """Whether the memory measured is a GPU's."""
        return self.device.type == "cuda"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the memory held, and start the clock."""
        self.device = pl_module.device
        self.memory_before = self._memory_now()
        self._start_step()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Step,
        batch_idx: int,
    ) -> None:
        """Note the step; after the last, evaluate its images."""
        self._wait_for_device()
        self.seconds.append(time.perf_counter() - self._step_started)
        peak = torch.cuda.max_memory_allocated(self.device) if self.on_gpu else memory.peak()
        self.peak_memory.append(peak)
        if trainer.global_step == trainer.max_steps:
            with trainer.precision_plugin.forward_context():
                self._time_evaluation(pl_module, batch.train)
        self._start_step()

    def _time_evaluation(self, module: pl.LightningModule, views: Views) -> None:
        module.eval()
        with torch.no_grad():
            for _ in range(2):  # the first warms up
                start = time.perf_counter()
                module(views.weak)
                self._wait_for_device()
                self.image_seconds = (time.perf_counter() - start) / len(views.label)
        module.train()

    def _start_step(self) -> None:
        if self.on_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            memory.forget_peak()
        self._step_started = time.perf_counter()

    def _memory_now(self) -> int:
        return torch.cuda.memory_allocated(self.device) if self.on_gpu else memory.resident()

    def _wait_for_device(self) -> None:
        if self.device.type != "cpu":
            torch.accelerator.synchronize(self.device)
