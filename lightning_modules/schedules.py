"""Learning-rate schedules: the rate of a step as a pure function of its number.

A step's number is how many steps were completed before it, so the first is 0. Field names say
whether a length is in epochs or steps; `steps_per_epoch` may be any whole number. Sources: the
released code (its `cosine`, `cosine_one`, `custom_step`, `exponential` and `cosine_warmup`) and
Loshchilov & Hutter 2017 for the restarts.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from datamodules.config_checks import check_above, check_within


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A constant rate after a linear warm-up from 0; subclasses override `after_warmup`."""

    learning_rate: float
    steps_per_epoch: int
    max_steps: int
    warmup_epochs: float = 0.0

    has_cycles: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_above("learning_rate", self.learning_rate, 0)
        check_within("schedule.warmup_epochs", self.warmup_epochs, 0)

    @property
    def warmup_steps(self) -> int:
        """Steps before the schedule proper begins."""
        return round(self.warmup_epochs * self.steps_per_epoch)

    def __call__(self, step: int) -> float:
        """Return the learning rate of the step that follows `step` completed ones."""
        if step < self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        return self.learning_rate * self.after_warmup(step - self.warmup_steps)

    def after_warmup(self, step: int) -> float:
        """Return the factor on `learning_rate` at `step` steps after the warm-up."""
        return 1.0

    def cycle_ends(self) -> list[int]:
        """Return the numbers of completed steps, up to `max_steps`, at which a cycle ends."""
        return []


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Schedule):
    """Cosine cycles, each `cycle_growth` times as long, with `peak_decay` times the peak rate.

    The reference's default (SGDR; its `cosine`). A network is at its best at the end of a cycle.
    """

    has_cycles: ClassVar[bool] = True

    cycle_epochs: float = 1.0
    cycle_growth: float = 1.5
    peak_decay: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above("schedule.cycle_epochs", self.cycle_epochs, 0)
        check_within("schedule.cycle_growth", self.cycle_growth, 1)
        check_above("schedule.peak_decay", self.peak_decay, 0, 1)

    @property
    def first_cycle_steps(self) -> float:
        """Length of the first cycle in steps."""
        return self.cycle_epochs * self.steps_per_epoch

    def after_warmup(self, step: int) -> float:  # noqa: D102
        cycles = step / self.first_cycle_steps
        growth = self.cycle_growth
        if growth == 1:
            cycle = _completed(cycles)
            phase = max(0.0, cycles - cycle)
        else:
            # cycle k starts after (growth^k − 1) / (growth − 1) first cycles
            cycle = _completed(math.log(1 + cycles * (growth - 1), growth))
            start = (growth**cycle - 1) / (growth - 1)
            phase = max(0.0, cycles - start) / growth**cycle
        return self.peak_decay**cycle * 0.5 * (1 + math.cos(math.pi * phase))

    def cycle_ends(self) -> list[int]:  # noqa: D102
        ends: list[int] = []
        length, end = self.first_cycle_steps, self.warmup_steps + self.first_cycle_steps
        while round(end) <= self.max_steps:
            ends.append(round(end))
            length *= self.cycle_growth
            end += length
        return ends


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """One cosine from `learning_rate` to 0 over the run (the reference's `cosine_one`)."""

    def after_warmup(self, step: int) -> float:  # noqa: D102
        length = max(1, self.max_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, step / length)))

    def cycle_ends(self) -> list[int]:  # noqa: D102
        return [self.max_steps]


@dataclass(frozen=True, kw_only=True)
class Steps(Schedule):
    """Multiplies the rate by `factor` from each of the steps `at` on (reference: `custom_step`).

    As in the reference, `at` numbers steps from 1: when the rate falls, `at` − 1 steps are
    completed.
    """

    at: tuple[int, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        integers = isinstance(self.at, list | tuple) and all(isinstance(n, int) for n in self.at)
        if not integers or any(n < 1 for n in self.at):
            raise ValueError(
                f"schedule.at={self.at} is not a list of steps: give one, such as [500,1000]."
            )
        check_above("schedule.factor", self.factor, 0, 1)

    def after_warmup(self, step: int) -> float:  # noqa: D102
        step_number = step + self.warmup_steps + 1
        return self.factor ** sum(step_number >= boundary for boundary in self.at)


@dataclass(frozen=True, kw_only=True)
class Exponential(Schedule):
    """Multiplies the rate by `factor` every `every_epochs` epochs, as a staircase."""

    factor: float = 0.9
    every_epochs: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above("schedule.every_epochs", self.every_epochs, 0)
        check_above("schedule.factor", self.factor, 0, 1)

    def after_warmup(self, step: int) -> float:  # noqa: D102
        return self.factor ** _completed(step / (self.every_epochs * self.steps_per_epoch))


def _completed(periods: float) -> int:
    """Return the number of completed periods; rounding must not undo one that has just ended."""
    return math.floor(periods + 1e-9)
