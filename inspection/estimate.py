"""The estimated time and memory of a run, in numbers and in words."""

from typing import Any, NamedTuple

from datamodules.phrases import byte_size, counted, duration
from inspection.rehearsal import Cost
from runs.build import Plan


class Estimate(NamedTuple):
    """What a run takes on its devices.

    Attributes:
        cost: of computing a step on one device.
        loading_seconds: for one process to read the examples of a step.
        workers: loader processes per device that read meanwhile; 0: the run itself reads between
            its steps.
        seconds_a_step: computing and reading together.
        training_seconds: of all steps.
        evaluation_seconds: of all evaluations.
        picture_bytes: of pictures that are read into memory when training begins.
        available_memory: bytes of memory available before the timed steps, or None if unknown.
        batch_per_device: noisy examples per step on one device.
        devices: how many share the work; communication between them is not in the estimate.
    """

    cost: Cost
    loading_seconds: float
    workers: int
    seconds_a_step: float
    training_seconds: float
    evaluation_seconds: float
    picture_bytes: int
    available_memory: int | None
    batch_per_device: int
    devices: int

    @property
    def is_scaled(self) -> bool:
        """Whether the time is scaled up from steps smaller than the run's."""
        return self.cost.timed_examples < self.batch_per_device

    @property
    def peak_memory(self) -> int:
        """Peak memory in bytes; on a GPU, of the GPU's memory."""
        return self.cost.peak_memory + (0 if self._on_gpu else self.picture_bytes)

    @property
    def _on_gpu(self) -> bool:
        return self.cost.device.startswith("cuda")

    def shortage(self) -> str | None:
        """Return a warning if the machine has less memory than the run is expected to need."""
        needed = self.picture_bytes + (0 if self._on_gpu else self.cost.memory * self.devices)
        if self.available_memory is None or needed <= self.available_memory:
            return None
        return (
            f"training is foretold to need {byte_size(needed)} more memory, and the machine has "
            f"{byte_size(self.available_memory)} left: it would be killed; give a smaller "
            "batch_size, model "
            "or dataset.image_size"
        )

    def as_json(self, plan: Plan) -> dict[str, Any]:
        """Return the numbers, ready for JSON."""
        return {
            "device": self.cost.device,
            "devices": self.devices,
            "examples_a_step": self.batch_per_device,
            "examples_timed": self.cost.timed_examples,
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
            "memory_bytes": self.peak_memory,
            "memory_bytes_for_a_step": self.cost.memory,
            "memory_bytes_for_pictures": self.picture_bytes,
        }

    def describe(self, plan: Plan) -> list[str]:
        """Return lines for the terminal."""
        cost, total = self.cost, self.training_seconds + self.evaluation_seconds
        how = f"timed in {counted(cost.steps, 'step')} of {cost.timed_examples}" + (
            f", scaled to {self.batch_per_device}" if self.is_scaled else ""
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
        pictures = f", {byte_size(self.picture_bytes)} of it pictures" if self.picture_bytes else ""
        lines.append(
            f"memory: about {byte_size(self.peak_memory)} {where}, {byte_size(cost.memory)} of it "
            f"for a step{'' if self._on_gpu else pictures}"
        )
        return lines
