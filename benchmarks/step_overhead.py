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


class Clock(Callback):
    """Note the CPU time at which each step ended."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Note it."""
        self.ended.append(time.process_time())


def windows(ended: list[float], every: int) -> list[float]:
    """Return the seconds per step of each window but the first, in which caches fill."""
    return [(end - start) / every for start, end in pairwise(ended[every - 1 :: every])]


Taken = dict[str, list[float]]


def timed(watcher: Callback, taken: Taken) -> None:
    """Make the callback note in `taken` how long it takes at each step's end."""
    inner, name = watcher.on_train_batch_end, type(watcher).__name__

    def outer(*args: Any) -> None:
        start = time.process_time()
        inner(*args)
        taken.setdefault(name, []).append(time.process_time() - start)

    watcher.on_train_batch_end = outer  # type: ignore[method-assign]


def by_lightning(
    made: Settings,
    folder: str,
    *,
    watched: bool,
    data: NoisyLabelDataModule | None = None,
    alone: Taken | None = None,
) -> list[float]:
    """Return the CPU times at which the steps of a run ended.

    Args:
        made: the run's settings.
        folder: where it writes.
        watched: whether there are callbacks and a logger.
        data: what to train on instead of the settings' data.
        alone: where to note the time of each callback.
    """
    data = data or build_data(made)
    schedule, plan = build_schedule(made, data)
    module = build_module(made, data, schedule)
    watchers: list[Callback] = []
    if watched:
        watchers = build_callbacks(made, data, plan, RunFolder(made), StopSignals())
    clock = Clock()
    watchers = [one for one in watchers if not isinstance(one, Evaluations)]
    if alone is not None:
        for watcher in watchers:
            timed(watcher, alone)
    trainer = build_trainer(made, plan.max_steps, [*watchers, clock])
    trainer.loggers = [CSVLog(Path(folder) / "metrics.csv")] if watched else []
    trainer.limit_val_batches = 0
    trainer.fit(module, datamodule=data)
    return clock.ended


def by_hand(made: Settings) -> list[float]:
    """Return the CPU times at which the steps of a bare loop ended."""
    data = build_data(made)
    data.setup("fit")
    schedule, plan = build_schedule(made, data)
    module: Any = build_module(made, data, schedule).train()
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
    ended = []
    for number, batch in zip(range(plan.max_steps), data.train_dataloader(), strict=False):
        stand_in.global_step = number
        module.training_step(data.on_after_batch_transfer(batch, 0), number)
        ended.append(time.process_time())
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="supervised")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    given, overrides = parser.parse_known_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    taken: Taken = {"bare": [], "Lightning": [], "a run": []}
    alone: Taken = {}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            words = [f"method={given.method}", f"run_dir={folder}/run", "logger=csv", "trainer=cpu"]
            every = settings(*words, *overrides)["log_every"]
            # one more window, the first, which does not count
            made = settings(*words, f"max_steps={given.steps + every}", *overrides)
            taken["bare"] += windows(by_hand(made), every)
            taken["Lightning"] += windows(by_lightning(made, folder, watched=False), every)
            taken["a run"] += windows(by_lightning(made, folder, watched=True), every)
            by_lightning(made, folder, watched=True, alone=alone)
    fastest = {name: min(each) for name, each in taken.items()}
    bare = fastest["bare"]
    print(
        f"{given.method} {' '.join(overrides)}: ms a step: "
        + ", ".join(
            f"{name} {one * 1e3:.2f} ({one / bare - 1:+.1%})" for name, one in fastest.items()
        )
    )
    each = {name: statistics.median(seconds) * 1e3 for name, seconds in alone.items()}
    print(", ".join(f"{name} {ms:.2f}" for name, ms in each.items() if ms >= 0.005))


if __name__ == "__main__":
    main()
