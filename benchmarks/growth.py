"""Do memory and file handles grow while a run takes thousands of small steps?

    python benchmarks/growth.py --steps 2000

Trains L2R on digits in this process, with loader workers, evaluations, checkpoints and metrics, and
reads Linux's own numbers meanwhile. The first quarter, in which caches fill, does not count.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from runs import build, training


def resident_mebibytes() -> float:
    """Return this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_handles() -> int:
    """Return how many files and pipes this process holds open."""
    return len(os.listdir("/proc/self/fd"))


class ResourceWatch(Callback):
    """Note memory and open handles every `every` steps."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.notes: list[tuple[int, float, int]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        """Note, and print."""
        if trainer.global_step % self.every == 0:
            self.notes.append((trainer.global_step, resident_mebibytes(), open_handles()))
            print("step {:5d}  {:8.1f} MiB  {:4d} handles".format(*self.notes[-1]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--method", default="l2r")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    watch = ResourceWatch(max(1, args.steps // 20))
    callbacks = build.build_callbacks
    training.build_callbacks = lambda *parts: [watch, *callbacks(*parts)]
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"method={args.method}", f"max_steps={args.steps}", f"run_dir={folder}/run"]
        overrides += [
            "batch_size=20",
            "evaluate_every=100",
            "log_every=10",
            "save_every_minutes=0.1",
        ]
        overrides += [f"dataset.num_workers={args.workers}", "logger=csv", "trainer=cpu"]
        training.train(settings(*overrides))
    counted_notes = watch.notes[len(watch.notes) // 4 :]
    (first, before, open_before), (last, after, open_after) = counted_notes[0], counted_notes[-1]
    print(
        f"from step {first} to {last}: memory {before:.1f} → {after:.1f} MiB "
        f"({(after - before) * 2**20 / (last - first):+.0f} bytes a step), "
        f"handles {open_before} → {open_after}"
    )


if __name__ == "__main__":
    main()
