"""How long a run takes and what memory it needs, foretold from a few of its steps."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch

from callbacks.progress import duration
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.images import Place
from datamodules.labelled import LabelledImages
from datamodules.samplers import Drawn
from datamodules.whole_pictures import WholePictures
from datamodules.words import counted
from inspection.rehearsal import Cost, rehearse
from lightning_modules.base import NoisyLabelModule
from runs.build import Plan
from runs.settings import Settings

# Pictures that are read to learn how long one takes.
_READ = 8


class Estimate(NamedTuple):
    """What a run takes on its devices.

    Attributes:
        cost: of a step's computing on one device.
        loading_seconds: of reading a step's examples, by one process.
        workers: loader processes of a device that do so meanwhile; 0: the run itself does, between
            its steps.
        seconds_a_step: with both.
        training_seconds: of all steps.
        evaluation_seconds: of all evaluations.
        picture_bytes: of pictures that are read into memory when training begins.
        batch: examples of one device's step.
        devices: how many share the work; what they send each other is not in the estimate.
    """

    cost: Cost
    loading_seconds: float
    workers: int
    seconds_a_step: float
    training_seconds: float
    evaluation_seconds: float
    picture_bytes: int
    batch: int
    devices: int

    @property
    def is_scaled(self) -> bool:
        """Whether smaller steps than the run's were timed."""
        return self.cost.timed < self.batch

    @property
    def held(self) -> int:
        """Bytes held at most; on a GPU, of its memory."""
        return self.cost.held + (0 if self._on_gpu else self.picture_bytes)

    @property
    def _on_gpu(self) -> bool:
        return self.cost.device.startswith("cuda")

    def as_json(self, plan: Plan) -> dict[str, Any]:
        """Return the numbers."""
        return {
            "device": self.cost.device,
            "devices": self.devices,
            "examples_a_step": self.batch,
            "examples_timed": self.cost.timed,
            "steps_timed": self.cost.steps,
            "computing_seconds_a_step": self.cost.seconds,
            "loading_seconds_a_step": self.loading_seconds,
            "num_workers": self.workers,
            "steps_a_second": 1 / self.seconds_a_step,
            "max_steps": plan.max_steps,
            "evaluations": len(plan.evaluate_at),
            "training_seconds": self.training_seconds,
            "evaluation_seconds": self.evaluation_seconds,
            "hours": (self.training_seconds + self.evaluation_seconds) / 3600,
            "memory_bytes": self.held,
            "memory_bytes_for_a_step": self.cost.memory,
            "memory_bytes_for_pictures": self.picture_bytes,
        }

    def describe(self, plan: Plan) -> list[str]:
        """Return lines for the terminal."""
        cost, total = self.cost, self.training_seconds + self.evaluation_seconds
        how = f"timed in {counted(cost.steps, 'step')} of {cost.timed}" + (
            f", scaled to {self.batch}" if self.is_scaled else ""
        )
        share = f", each of {self.devices} devices" if self.devices > 1 else ""
        lines = [
            f"time: {1 / self.seconds_a_step:.3g} steps/s on {cost.device} ({how}{share}); "
            f"{counted(plan.max_steps, 'step')} and "
            f"{counted(len(plan.evaluate_at), 'evaluation')} take about "
            f"{duration(total)}"
        ]
        if self.loading_seconds > cost.seconds * max(self.workers, 1) / 10:
            lines.append(
                f"reading a step's pictures takes {self.loading_seconds:.2g} s of one process, "
                f"computing {cost.seconds:.2g} s (dataset.num_workers={self.workers})"
            )
        where = "of the GPU's memory" if self._on_gpu else "in all"
        pictures = f", {_gib(self.picture_bytes)} of it pictures" if self.picture_bytes else ""
        lines.append(
            f"memory: about {_gib(self.held)} {where}, {_gib(cost.memory)} of it for a step"
            f"{'' if self._on_gpu else pictures}"
        )
        return lines


def estimate(
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


def _gib(size: int) -> str:
    return f"{size / 2**30:.2g} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
