"""Foretell how long a run takes and what memory it needs, from a few of its steps."""

import time

import numpy as np
import torch

from callbacks import memory
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.images import Place
from datamodules.labelled import LabelledImages
from datamodules.samplers import Drawn
from datamodules.whole_pictures import WholePictures
from inspection.estimate import Estimate
from inspection.rehearsal import rehearse
from lightning_modules.base import NoisyLabelModule
from runs.build import Plan
from runs.settings import Settings

# Pictures that are read to learn how long one takes.
_READ = 8


def foretell(
    settings: Settings,
    data: NoisyLabelDataModule,
    module: NoisyLabelModule,
    plan: Plan,
    devices: int,
) -> Estimate:
    """Take a few steps of a run and foretell the rest; the module is of no use afterwards.

    Args:
        settings: of the run.
        data: laid out or set up.
        module: the method, new.
        plan: how long the run is.
        devices: how many share its batches.

    Raises:
        ValueError: if a step does not fit into the device's memory.
    """
    batch = data.batch_size // devices
    windows = 2 if module.uses_strong_view else 1
    train, loading = _read(data.train_set, batch, Place("train", 0, 0, windows))
    probe = None
    if module.uses_probe:
        probe, seconds = _read(data.probe_set, batch, Place("probe", 0, 0, 1))
        loading += seconds
    there = memory.available()
    cost = rehearse(settings, module, data, Drawn(train, probe))
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


def _read(examples: LabelledImages, count: int, place: Place | None) -> tuple[Batch, float]:
    """Return so many examples, the same few again and again, and the seconds it takes to read them.

    Pictures that are in memory when a run trains take no time.
    """
    some = np.arange(min(_READ, len(examples)))
    examples[some[:1]]  # the first time, libraries wake up
    began = time.perf_counter()
    batch = examples[some] if place is None else examples.at(some, place)
    seconds = (time.perf_counter() - began) / len(some)
    if isinstance(examples.images, WholePictures):
        seconds = 0.0
    again = torch.arange(count) % len(some)
    return Batch(*(part[again] for part in batch)), seconds * count


def _picture_bytes(data: NoisyLabelDataModule) -> int:
    """Return how much whole pictures need, of the whole training list and of all test sets."""
    lists = [one.images for one in (data.train_set, *data.test_sets.values())]
    return sum(
        len(images) * 3 * images.side**2 for images in lists if isinstance(images, WholePictures)
    )
