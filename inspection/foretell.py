"""Estimate a run's time and memory from a few of its steps."""

import time

import numpy as np
import torch

from callbacks import memory
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.images import BatchPosition
from datamodules.labelled_images import LabelledImages
from datamodules.samplers import StepBatches
from datamodules.whole_pictures import WholePictures
from inspection.estimate import Estimate
from inspection.rehearsal import rehearse
from lightning_modules.base import NoisyLabelModule
from runs.build import Plan
from runs.settings import Settings

# Pictures that are read to time the reading of one.
_READ = 8


def foretell(
    settings: Settings,
    data: NoisyLabelDataModule,
    module: NoisyLabelModule,
    plan: Plan,
    devices: int,
) -> Estimate:
    """Take a few steps of a run and estimate the whole; the module cannot be used afterwards.

    Args:
        settings: of the run.
        data: laid out or set up.
        module: the method, untrained.
        plan: how long the run is.
        devices: how many share its batches.

    Raises:
        ValueError: if a step does not fit into the device's memory.
    """
    batch = data.batch_size // devices
    windows = 2 if module.uses_strong_view else 1
    train, loading = _read(data.train_set, batch, BatchPosition("train", 0, 0, windows))
    probe = None
    if module.uses_probe:
        probe, seconds = _read(data.probe_set, batch, BatchPosition("probe", 0, 0, 1))
        loading += seconds
    there = memory.available()
    cost = rehearse(settings, module, data, StepBatches(train, probe))
    workers = data.num_workers
    step = max(cost.seconds, loading / workers) if workers else cost.seconds + loading
    images = judging = 0.0
    for one in data.test_sets.values():
        if len(one):
            images += len(one)
            judging += _read(one, 1, None)[1] * len(one) / max(workers, 1)
    judging += cost.image_seconds * images
    return Estimate(
        cost=cost,
        loading_seconds=loading,
        workers=workers,
        seconds_a_step=step,
        training_seconds=step * plan.max_steps,
        evaluation_seconds=judging / devices * len(plan.evaluate_at),
        picture_bytes=_picture_bytes(data),
        there=there,
        batch=batch,
        devices=devices,
    )


def _read(
    examples: LabelledImages, count: int, position: BatchPosition | None
) -> tuple[Batch, float]:
    """Return `count` examples, a few of them repeated, and the seconds it takes to read so many.

    Pictures that a run holds in memory take no time.
    """
    some = np.arange(min(_READ, len(examples)))
    examples[some[:1]]  # warm up: the first read loads libraries
    began = time.perf_counter()
    batch = examples[some] if position is None else examples.for_training(some, position)
    seconds = (time.perf_counter() - began) / len(some)
    if isinstance(examples.images, WholePictures):
        seconds = 0.0
    again = torch.arange(count) % len(some)
    return Batch(*(part[again] for part in batch)), seconds * count


def _picture_bytes(data: NoisyLabelDataModule) -> int:
    """Return the bytes of the whole pictures of the training list and of all test sets."""
    lists = [one.images for one in (data.train_set, *data.test_sets.values())]
    return sum(
        len(images) * 3 * images.side**2 for images in lists if isinstance(images, WholePictures)
    )
