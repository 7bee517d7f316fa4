"""What Lightning and the callbacks cost: whole runs' steps beside a bare loop of the same.

    python benchmarks/step_overhead.py [--method supervised] [--steps 40] [--rounds 3] [key=value …]

One side is `Trainer.fit` with a run's callbacks but for evaluations, and `metrics.csv`; the other
calls loader, views and `training_step` in a loop. They take turns, on a CPU in one thread; time is
this process's own, without what others take. Digits by default, whose steps are short.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from benchmarks.step_cost import BareSGD
from callbacks.csv_log import CSVLog
from callbacks.evaluations import Evaluations
from callbacks.stop_signals import StopSignals
from runs.build import build_callbacks, build_data, build_module, build_schedule, build_trainer
from runs.folder import RunFolder
from runs.freed_memory import keep_freed_memory
from runs.settings import Settings

WARM = 5  # steps before the clock starts


class Clock(Callback):
    """Times a run's steps after the first few."""

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Start, or note how long it has been."""
        if trainer.global_step == WARM:
            self.start = time.process_time()
        self.end = time.process_time()


def by_lightning(made: Settings, steps: int, folder: str) -> float:
    """Return seconds a step of a run."""
    data = build_data(made)
    schedule, plan = build_schedule(made, data)
    module = build_module(made, data, schedule)
    watchers = build_callbacks(made, data, plan, RunFolder(made), StopSignals())
    clock = Clock()
    watchers = [one for one in watchers if not isinstance(one, Evaluations)]
    trainer = build_trainer(made, steps + WARM, [*watchers, clock])
    trainer.loggers = [CSVLog(Path(folder) / "metrics.csv")]
    trainer.limit_val_batches = 0
    trainer.fit(module, datamodule=data)
    return (clock.end - clock.start) / steps


def by_hand(made: Settings, steps: int) -> float:
    """Return seconds a step of a bare loop."""
    data = build_data(made)
    data.setup("fit")
    schedule, _ = build_schedule(made, data)
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
    for number, batch in enumerate(data.train_dataloader()):
        if number == WARM:
            start = time.process_time()
        if number == WARM + steps:
            break
        stand_in.global_step = number
        module.training_step(data.on_after_batch_transfer(batch, 0), number)
    return (time.process_time() - start) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="supervised")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    given, overrides = parser.parse_known_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    taken: list[tuple[float, float]] = []
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as folder:
            made = settings(
                f"method={given.method}",
                f"max_steps={given.steps + WARM}",
                f"run_dir={folder}/run",
                "logger=csv",
                "trainer=cpu",
                *overrides,
            )
            taken.append((by_lightning(made, given.steps, folder), by_hand(made, given.steps)))
    whole, bare = (statistics.median(side) for side in zip(*taken, strict=True))
    print(
        f"{given.method} {' '.join(overrides)}: {whole * 1e3:.1f} ms a step in a run, "
        f"{bare * 1e3:.1f} ms bare: {whole / bare - 1:+.1%}"
    )


if __name__ == "__main__":
    main()
