"""What Lightning and the callbacks cost: steps of a run compared with those of a bare loop.

    python benchmarks/step_overhead.py [--method supervised] [--steps 40] [--rounds 3] [key=value …]

*bare* calls loader, views and `training_step` in a loop; *Lightning* is `Trainer.fit` of the same
without callbacks and loggers; *a run* adds its callbacks, except evaluations, and `metrics.csv`.
They take turns, on a CPU in one thread; time is CPU time of this process. Digits by default, whose
steps are short. Compared is the fastest window of `log_every` steps, each of which logs one row:
other programs' use of the caches can only make it slower. Last comes the median time that each
callback alone takes at the end of a step.
"""

import argparse
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from benchmarks.step_cost import BareSGD
from callbacks.csv_log import CSVLog
from callbacks.evaluations import Evaluations
from callbacks.stop_signals import StopSignals
from datamodules.base import NoisyLabelDataModule
from runs.build import build_callbacks, build_data, build_module, build_schedule, build_trainer
from runs.folder import RunFolder
from runs.freed_memory import keep_freed_memory
from runs.settings import Settings


class StepClock(Callback):
    """Note the CPU time at which each step ended."""

    def __init__(self) -> None:
        self.step_ends: list[float] = []

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note it."""
        self.step_ends.append(time.process_time())


def window_seconds(step_ends: list[float], every: int) -> list[float]:
    """Return the seconds per step of each window but the first, in which caches fill."""
    return [(end - start) / every for start, end in pairwise(step_ends[every - 1 :: every])]


SecondsByName = dict[str, list[float]]


def note_seconds(callback: Callback, seconds: SecondsByName) -> None:
    """Make the callback note in `seconds` how long it takes at each step's end."""
    original, name = callback.on_train_batch_end, type(callback).__name__

    def timed(*args: Any) -> None:
        start = time.process_time()
        original(*args)
        seconds.setdefault(name, []).append(time.process_time() - start)

    callback.on_train_batch_end = timed  # type: ignore[method-assign]


def step_ends_by_lightning(
    run_settings: Settings,
    folder: str,
    *,
    with_callbacks: bool,
    data: NoisyLabelDataModule | None = None,
    callback_seconds: SecondsByName | None = None,
) -> list[float]:
    """Return the CPU times at which the steps of a run ended.

    Args:
        run_settings: the run's settings.
        folder: where it writes.
        with_callbacks: whether there are callbacks and a logger.
        data: what to train on instead of the settings' data.
        callback_seconds: where to note the time of each callback.
    """
    data = data or build_data(run_settings)
    schedule, plan = build_schedule(run_settings, data)
    module = build_module(run_settings, data, schedule)
    callbacks: list[Callback] = []
    if with_callbacks:
        callbacks = build_callbacks(
            run_settings, data, plan, RunFolder(run_settings), StopSignals()
        )
    clock = StepClock()
    callbacks = [callback for callback in callbacks if not isinstance(callback, Evaluations)]
    if callback_seconds is not None:
        for callback in callbacks:
            note_seconds(callback, callback_seconds)
    trainer = build_trainer(run_settings, plan.max_steps, [*callbacks, clock])
    trainer.loggers = [CSVLog(Path(folder) / "metrics.csv")] if with_callbacks else []
    trainer.limit_val_batches = 0
    trainer.fit(module, datamodule=data)
    return clock.step_ends


def step_ends_by_hand(run_settings: Settings) -> list[float]:
    """Return the CPU times at which the steps of a bare loop ended."""
    data = build_data(run_settings)
    data.setup("fit")
    schedule, plan = build_schedule(run_settings, data)
    module: Any = build_module(run_settings, data, schedule).train()
    optimiser = BareSGD(module.net.parameters(), lr=0.1, momentum=module.momentum)
    module._optimiser = lambda: optimiser
    module.manual_backward = lambda loss: loss.backward()
    stand_in = SimpleNamespace(
        global_step=0,
        global_rank=0,
        world_size=1,
        lightning_module=module,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
    )
    data.trainer = stand_in  # type: ignore[assignment]
    step_ends = []
    for number, batch in zip(range(plan.max_steps), data.train_dataloader(), strict=False):
        stand_in.global_step = number
        module.training_step(data.on_after_batch_transfer(batch, 0), number)
        step_ends.append(time.process_time())
    return step_ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="supervised")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    args, overrides = parser.parse_known_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    seconds_by_kind: SecondsByName = {"bare": [], "Lightning": [], "a run": []}
    callback_seconds: SecondsByName = {}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            words = [f"method={args.method}", f"run_dir={folder}/run", "logger=csv", "trainer=cpu"]
            every = settings(*words, *overrides)["log_every"]
            # one more window, the first, which does not count
            run_settings = settings(*words, f"max_steps={args.steps + every}", *overrides)
            seconds_by_kind["bare"] += window_seconds(step_ends_by_hand(run_settings), every)
            seconds_by_kind["Lightning"] += window_seconds(
                step_ends_by_lightning(run_settings, folder, with_callbacks=False), every
            )
            seconds_by_kind["a run"] += window_seconds(
                step_ends_by_lightning(run_settings, folder, with_callbacks=True), every
            )
            step_ends_by_lightning(
                run_settings, folder, with_callbacks=True, callback_seconds=callback_seconds
            )
    fastest = {name: min(each) for name, each in seconds_by_kind.items()}
    bare = fastest["bare"]
    print(
        f"{args.method} {' '.join(overrides)}: ms a step: "
        + ", ".join(
            f"{name} {fastest_seconds * 1e3:.2f} ({fastest_seconds / bare - 1:+.1%})"
            for name, fastest_seconds in fastest.items()
        )
    )
    each = {name: statistics.median(seconds) * 1e3 for name, seconds in callback_seconds.items()}
    print(", ".join(f"{name} {ms:.2f}" for name, ms in each.items() if ms >= 0.005))


if __name__ == "__main__":
    main()
