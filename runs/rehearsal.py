"""A few real steps of the configured method on the real device, timed; nothing of them is kept.

Small steps come first. If they foretell that a whole batch fits into the time and memory there is,
whole steps are timed too; else the small ones are scaled: a part that does not depend on the number
of examples, and one that grows with it.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.samplers import Drawn
from lightning_modules.base import NoisyLabelModule
from runs import memory
from runs.build import build_trainer
from runs.settings import Settings
from runs.stopwatch import Stopwatch

# Seconds for timing steps.
BUDGET = 20.0
# Examples of the small steps; the first is for warming up.
SMALL = (2, 2, 4)
# Whole steps, the first for warming up, where there is time for all.
WHOLE = 4
# Share of the memory there is that a whole step may be foretold to need.
_DARING = 0.8


class Cost(NamedTuple):
    """What a step costs on one device, without reading its examples.

    Attributes:
        seconds: of one step.
        memory: bytes it needs beyond what was held before.
        held: bytes held at most, of the whole process or, on a GPU, of its memory.
        image_seconds: of judging one image.
        device: where.
        timed: examples in the steps that were timed; fewer than in the run's: they were scaled.
        steps: how many those are.
    """

    seconds: float
    memory: int
    held: int
    image_seconds: float
    device: str
    timed: int
    steps: int


def rehearse(
    settings: Settings, module: NoisyLabelModule, data: NoisyLabelDataModule, drawn: Drawn
) -> Cost:
    """Train for some steps and say what they cost; the module is of no use afterwards.

    Args:
        settings: of the run; one device stands for all.
        module: the method, new.
        data: who makes the views.
        drawn: one device's examples of a step.

    Raises:
        ValueError: if the device has too little memory for a step.
    """
    size, began = len(drawn.train.label), time.perf_counter()

    def run(sizes: list[int]) -> Stopwatch:
        return _fit(settings, module, data, [_first(drawn, one) for one in sizes])

    small = run([min(one, size) for one in SMALL])
    seconds = scaled(small.seconds, size)
    needed = round(scaled([held - small.before for held in small.held], size))
    there = memory.available()
    fits = small.on_gpu or there is None or needed < _DARING * there
    times = int((BUDGET - (time.perf_counter() - began)) / seconds)
    if fits and times:
        whole = run([size] * min(times, WHOLE))
        counted = whole.seconds[1:] or whole.seconds
        timed, seconds, held = size, sum(counted) / len(counted), max(whole.held)
        needed, image_seconds = held - small.before, whole.image_seconds
    else:
        counted, timed = small.seconds[1:], min(SMALL[-1], size)
        held, image_seconds = small.before + needed, small.image_seconds
    device = str(small.device)
    return Cost(seconds, needed, held, image_seconds, device, timed, len(counted))


def scaled(costs: Sequence[float], size: int) -> float:
    """Return what `size` examples cost by what `SMALL` ones did; no less than what four did."""
    _, two, four = costs
    # a little noise must not make further examples free
    each = max((four - two) / 2, four / 16)
    return four + each * max(size - 4, 0)


class _InMemory(pl.LightningDataModule):
    """Batches that are there already; a data module makes their views."""

    def __init__(self, data: NoisyLabelDataModule, batches: list[Drawn]) -> None:
        super().__init__()
        self.data = data
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.data.trainer = self.trainer
        return self.data.on_after_batch_transfer(batch, dataloader_idx)


def _fit(
    settings: Settings, module: NoisyLabelModule, data: NoisyLabelDataModule, batches: list[Drawn]
) -> Stopwatch:
    watch = Stopwatch()
    one = {**settings, "trainer": one_device(settings["trainer"])}
    trainer = build_trainer(one, len(batches), [watch], plugins=[LightningEnvironment()])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
            trainer.fit(module, datamodule=_InMemory(data, batches))
    except torch.OutOfMemoryError:
        raise ValueError(
            f"A step of {len(batches[-1].train.label)} examples on {module.device} needs more "
            f"memory than it has: batch_size={settings['batch_size']} is too large; give a smaller "
            "one, or more devices (trainer=ddp)."
        ) from None
    return watch


def one_device(trainer: dict[str, Any]) -> dict[str, Any]:
    """Return the Trainer's settings for the first of its devices alone."""
    devices = trainer.get("devices", 1)
    first = devices[:1] if isinstance(devices, list) else 1
    return {**trainer, "devices": first, "num_nodes": 1, "strategy": "auto"}


def _first(drawn: Drawn, count: int) -> Drawn:
    def cut(batch: Batch) -> Batch:
        return Batch(*(part[:count] for part in batch))

    return Drawn(cut(drawn.train), None if drawn.probe is None else cut(drawn.probe))
