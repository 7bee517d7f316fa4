"""A few real training steps on the real device, timed; nothing of them is kept.

Small steps come first, and the cost of larger ones is extrapolated from them. Steps of a whole
batch are timed if they fit into the time and memory available; otherwise the extrapolation stands.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from callbacks import memory
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.samplers import StepBatches
from inspection.stopwatch import Stopwatch
from lightning_modules.base import NoisyLabelModule
from lightning_modules.compiled import CompiledPasses
from lightning_modules.passes import Passes
from lightning_modules.recorded_step import WARM_UP_STEPS
from runs.build import build_trainer
from runs.settings import Settings

# Seconds for timing steps.
TIME_BUDGET = 20.0
# Examples in the steps before those of a whole batch.
SMALL_STEPS = (2, 4, 16)
# Steps of a whole batch, the first to warm up, if there is time for all.
WHOLE_STEPS = 4
# A step is taken if it is expected to need less than this share of the available memory.
_MEMORY_SHARE = 0.8


class Cost(NamedTuple):
    """What a step costs on one device, without reading its examples.

    Attributes:
        seconds: of one step.
        memory: bytes it needs beyond what was held before.
        peak_memory: peak bytes, of the whole process or, on a GPU, of the GPU's memory.
        image_seconds: of evaluating one image.
        device: the device.
        timed_examples: examples in the timed steps; if fewer than in the run's, the cost is
            extrapolated.
        steps: how many steps of this size were averaged.
    """

    seconds: float
    memory: int
    peak_memory: int
    image_seconds: float
    device: str
    timed_examples: int
    steps: int


class MeasuredStep(NamedTuple):
    """The measured cost of a step of `size` examples."""

    size: int
    seconds: float
    memory: float  # bytes, beyond what was held before


def rehearse(
    settings: Settings, module: NoisyLabelModule, data: NoisyLabelDataModule, batches: StepBatches
) -> Cost:
    """Train for some steps and return the cost of one; the module cannot be used afterwards.

    Args:
        settings: of the run; one device stands for all.
        module: the method, untrained.
        data: makes the views.
        batches: one device's examples of a step.

    Raises:
        ValueError: if the device has too little memory for a step.
    """
    size, deadline = len(batches.train.label), time.perf_counter() + TIME_BUDGET

    def run(sizes: list[int]) -> Stopwatch:
        return _fit(
            settings,
            module,
            data,
            [_first_examples(batches, size_of_step) for size_of_step in sizes],
        )

    smallest, small, middle = (min(small_size, size) for small_size in SMALL_STEPS)
    # not for small steps: each size would be compiled and recorded again
    passes, module.passes = module.passes, Passes(module.net)
    recorded_step, module.recorded_step = module.recorded_step, None
    first = run([smallest])
    # the first step includes the warm-up, which hardly matters if steps are slow
    slow = first.seconds[0] > TIME_BUDGET / 8
    watch = run([small] if slow else [smallest, small])
    warm = first if slow else watch
    points = [
        MeasuredStep(smallest, warm.seconds[0], warm.peak_memory[0] - first.memory_before),
        MeasuredStep(small, watch.seconds[-1], watch.peak_memory[-1] - first.memory_before),
    ]
    steps = 1
    # each once: a recorded step is lost when its Trainer ends, which moves the weights
    for next_size in dict.fromkeys((middle, size)):
        if next_size == size:
            module.passes, module.recorded_step = passes, recorded_step
        seconds, needed = scaled(points, next_size)
        available_memory = memory.available()
        fits = watch.on_gpu or available_memory is None or needed < _MEMORY_SHARE * available_memory
        step_count = min(
            int((deadline - time.perf_counter()) / seconds), WHOLE_STEPS if next_size == size else 1
        )
        # steps to leave out, which compile, record or warm up
        unmeasured_steps = WARM_UP_STEPS + 1 if module.recorded_step else 1
        if step_count and (module.recorded_step or isinstance(module.passes, CompiledPasses)):
            step_count = max(step_count, unmeasured_steps + 1)
        if not fits or step_count < 1:
            break
        if next_size == points[-1].size and next_size < size:
            continue
        watch = run([next_size] * step_count)
        measured_seconds = watch.seconds[unmeasured_steps:] or watch.seconds
        steps = len(measured_seconds)
        points.append(
            MeasuredStep(
                next_size,
                sum(measured_seconds) / steps,
                max(watch.peak_memory) - first.memory_before,
            )
        )
    seconds, needed = scaled(points, size)
    return Cost(
        seconds=seconds,
        memory=round(needed),
        peak_memory=first.memory_before + round(needed),
        image_seconds=watch.image_seconds,
        device=str(watch.device),
        timed_examples=points[-1].size,
        steps=steps,
    )


def scaled(points: Sequence[MeasuredStep], size: int) -> tuple[float, float]:
    """Return the seconds and bytes of a step of `size` examples, from the last two sizes measured.

    The cost is a constant plus a part proportional to the number of examples.
    """
    last = points[-1]
    smaller = next((point for point in reversed(points) if point.size < last.size), last)

    def extrapolate(low: float, high: float) -> float:
        per_example = (high - low) / max(last.size - smaller.size, 1)
        # so that noise in the measurements cannot make further examples free
        return high + max(per_example, high / last.size / 4) * (size - last.size)

    return extrapolate(smaller.seconds, last.seconds), extrapolate(smaller.memory, last.memory)


class _InMemory(pl.LightningDataModule):
    """Batches in memory; a data module makes their views."""

    def __init__(self, data: NoisyLabelDataModule, batches: list[StepBatches]) -> None:
        super().__init__()
        self.data = data
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.data.trainer = self.trainer
        return self.data.on_after_batch_transfer(batch, dataloader_idx)


def _fit(
    settings: Settings,
    module: NoisyLabelModule,
    data: NoisyLabelDataModule,
    batches: list[StepBatches],
) -> Stopwatch:
    watch = Stopwatch()
    single_device_settings = {**settings, "trainer": one_device(settings["trainer"])}
    trainer = build_trainer(
        single_device_settings, len(batches), [watch], plugins=[LightningEnvironment()]
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
            trainer.fit(module, datamodule=_InMemory(data, batches))
    except torch.OutOfMemoryError:
        raise ValueError(
            f"A step of {len(batches[-1].train.label)} examples on {trainer.strategy.root_device} "
            f"needs more memory than it has: batch_size={settings['batch_size']} is too large; "
            "give a smaller one, or more devices (trainer=ddp)."
        ) from None
    return watch


def one_device(trainer: dict[str, Any]) -> dict[str, Any]:
    """Return the Trainer's settings for only the first of its devices."""
    devices = trainer.get("devices", 1)
    first = devices[:1] if isinstance(devices, list) else 1
    return {**trainer, "devices": first, "num_nodes": 1, "strategy": "auto"}


def _first_examples(batches: StepBatches, count: int) -> StepBatches:
    def cut(batch: Batch) -> Batch:
        return Batch(*(part[:count] for part in batch))

    return StepBatches(cut(batches.train), None if batches.probe is None else cut(batches.probe))
