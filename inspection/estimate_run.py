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
_PICTURES_TIMED = 8


def estimate_run(
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
    batch_per_device = data.batch_size // devices
    windows = 2 if module.uses_strong_view else 1
    train, loading_seconds = _read_timed(
        data.train_set, batch_per_device, BatchPosition("train", 0, 0, windows)
    )
    probe = None
    if module.uses_probe:
        probe, seconds = _read_timed(
            data.probe_set, batch_per_device, BatchPosition("probe", 0, 0, 1)
        )
        loading_seconds += seconds
    available_memory = memory.available()
    cost = rehearse(settings, module, data, StepBatches(train, probe))
    workers = data.num_workers
    seconds_a_step = (
        max(cost.seconds, loading_seconds / workers) if workers else cost.seconds + loading_seconds
    )
    image_count = evaluation_seconds = 0.0
    for examples in data.test_sets.values():
        if len(examples):
            image_count += len(examples)
            evaluation_seconds += (
                _read_timed(examples, 1, None)[1] * len(examples) / max(workers, 1)
            )
    evaluation_seconds += cost.image_seconds * image_count
    return Estimate(
        cost=cost,
        loading_seconds=loading_seconds,
        workers=workers,
        seconds_a_step=seconds_a_step,
        training_seconds=seconds_a_step * plan.max_steps,
        evaluation_seconds=evaluation_seconds / devices * len(plan.evaluate_at),
        picture_bytes=_picture_bytes(data),
        available_memory=available_memory,
        batch_per_device=batch_per_device,
        devices=devices,
    )


def _read_timed(
    examples: LabelledImages, count: int, position: BatchPosition | None
) -> tuple[Batch, float]:
    """Return `count` examples, a few of them repeated, and the seconds it takes to read so many.

    Pictures that a run holds in memory take no time.
    """
    rows = np.arange(min(_PICTURES_TIMED, len(examples)))
    examples[rows[:1]]  # warm up: the first read loads libraries
    began = time.perf_counter()
    batch = examples[rows] if position is None else examples.for_training(rows, position)
    seconds = (time.perf_counter() - began) / len(rows)
    if isinstance(examples.images, WholePictures):
        seconds = 0.0
    repeated_rows = torch.arange(count) % len(rows)
    return Batch(*(part[repeated_rows] for part in batch)), seconds * count


def _picture_bytes(data: NoisyLabelDataModule) -> int:
    """Return the bytes of the whole pictures of the training list and of all test sets."""
    return sum(
        len(images) * 3 * images.side**2
        for images in data.all_images
        if isinstance(images, WholePictures)
    )
