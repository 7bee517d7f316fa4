"""How cost grows: a step's with batch, classes, data set and ranks; the audit's with its labels.

    python benchmarks/scaling.py [--quick] [--figure docs/scaling.png]

Runs a few steps on small synthetic pictures, with a run's callbacks and `metrics.csv`. Time is CPU
time of the processes, one thread each, the least over windows of steps. Ranks are processes on this
machine (gloo) with 100 examples each. Their total time is compared with one rank's, and with that
of as many independent runs at the same time, which share the machine's caches alike. What a run
does once is timed once: drawing the probe set and noise, saving them, shuffling an epoch, and the
lists of labels at the end (without the final predictions, a forward pass over all examples).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from audit.files import write_audit
from audit.final_predictions import FinalPredictions
from benchmarks.composed import settings
from benchmarks.made_data import MadeData
from benchmarks.ranks import RankPool
from benchmarks.scaling_figure import Lines, Panel, draw
from benchmarks.step_overhead import step_ends_by_lightning, window_seconds
from callbacks.label_audit import LabelAudit
from datamodules.randomness import numpy_generator
from runs.freed_memory import keep_freed_memory

METHODS = {"supervised": "supervised", "l2r": "L2R"}
SIDE, BATCH, CLASSES, ROWS = 8, 100, 10, 10_000
# Number of classes while the number of labels varies: as many as WebVision has.
MANY_CLASSES = 1000
WINDOW, STEPS = 4, 28


def step_seconds(
    method: str,
    *,
    batch: int = BATCH,
    classes: int = CLASSES,
    rows: int = ROWS,
    ranks: int = 1,
    in_one_run: bool = True,
) -> float:
    """Return the CPU seconds of this process for a step of a run."""
    torch.set_num_threads(1)
    keep_freed_memory()
    devices = ranks if in_one_run else 1
    data = MadeData(rows, classes, batch * devices, SIDE)
    words = [f"method={method}", "dataset=digits_uniform", f"max_steps={STEPS}", "trainer=cpu"]
    words += [f"log_every={WINDOW}", f"batch_size={batch * devices}", "logger=csv"]
    if devices > 1:
        words += [f"trainer.devices={devices}", "trainer.strategy=ddp"]
    with tempfile.TemporaryDirectory() as folder:
        run_settings = settings(*words, f"run_dir={folder}/run")
        return min(
            window_seconds(
                step_ends_by_lightning(run_settings, folder, with_callbacks=True, data=data), WINDOW
            )
        )


def one_time_costs(rows: int) -> dict[str, float]:
    """Return the CPU seconds of what a run does once, for as many labels."""
    data = MadeData(rows, MANY_CLASSES, BATCH, SIDE)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        seconds[name] = time.process_time() - start
        return result

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = data.manifest = timed("draw probe and noise", data.draw)
        timed("write them down", lambda: manifest.save(folder))
        timed("shuffle an epoch", lambda: numpy_generator(1, "train order", 0).permutation(rows))
        label_audit = audit_seen_twice(data)
        audit = timed("judge all labels", lambda: label_audit.audit(data))
        options = {"parquet": False, "confidence": 0.5, "label_next": 100}
        timed("write the lists", lambda: write_audit(audit, data, folder, options))
    return seconds


def audit_seen_twice(data: MadeData) -> LabelAudit:
    """Return an audit with two visits of every example and final predictions."""
    rows, drawn = data.train_size, data.manifest
    generator = torch.Generator().manual_seed(0)
    audit = LabelAudit(rows, data.num_classes)
    suggested = torch.arange(rows) % data.num_classes  # the true classes
    margin, sure = torch.rand(2, rows, generator=generator)
    audit._table.copy_(torch.stack([2 + 0 * sure, margin, sure, sure, sure, suggested, sure]))
    index = torch.from_numpy(drawn.train_rows)
    right = torch.from_numpy((drawn.given == drawn.clean).astype(np.float32))
    of_given = 0.2 + 0.6 * right
    audit.final = FinalPredictions(
        index, suggested[index], 0.5 + sure[index] / 2, of_given, of_given
    )
    return audit


def step_seconds_over_ranks(method: str, ranks: int, pool: RankPool, in_one_run: bool) -> float:
    """Return the CPU seconds of a step, summed over the ranks."""
    return sum(pool.run(ranks, step_seconds_of_rank, method, ranks, in_one_run))


def step_seconds_of_rank(method: str, ranks: int, in_one_run: bool) -> float:
    """Return one rank's CPU seconds of a step."""
    return step_seconds(method, ranks=ranks, in_one_run=in_one_run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--figure", type=Path, help="a PNG file to draw into")
    args = parser.parse_args()
    quick = args.quick
    batches = (25, 100, 400) if quick else (25, 50, 100, 200, 400)
    classes = (10, 100, 1000)
    sizes = (10_000, 100_000) if quick else (10_000, 100_000, 1_000_000, 2_400_000)
    ranks = (1, 2) if quick else (1, 2, 4)
    for method in METHODS:  # to fill caches
        step_seconds(method)

    def of_methods(measure: Callable[[str, int], float], values: tuple[int, ...]) -> Lines:
        lines: Lines = {name: {} for name in METHODS.values()}
        for value in values:  # methods take turns
            for method, name in METHODS.items():
                lines[name][value] = measure(method, value)
        return lines

    of_batch = of_methods(lambda method, size: step_seconds(method, batch=size), batches)
    of_classes = of_methods(lambda method, count: step_seconds(method, classes=count), classes)
    of_rows: Lines = {"a step (supervised)": {}}
    for rows in sizes:
        of_rows["a step (supervised)"][rows] = step_seconds(
            "supervised", rows=rows, classes=MANY_CLASSES
        )
        for name, seconds in one_time_costs(rows).items():
            of_rows.setdefault(name, {})[rows] = seconds
    pool = RankPool()
    of_ranks = of_methods(
        lambda method, count: step_seconds_over_ranks(method, count, pool, True), ranks
    )
    of_separate_runs = of_methods(
        lambda method, count: step_seconds_over_ranks(method, count, pool, False), ranks
    )
    of_ranks |= {f"{name}, apart": line for name, line in of_separate_runs.items()}
    pool.close()

    panels = [
        Panel("Batch", "examples in a batch", of_batch),
        Panel("Classes", "classes", of_classes),
        Panel("Data set", f"labels of {MANY_CLASSES:,} classes", of_rows),
        Panel("Ranks", f"ranks with {BATCH} examples each", of_ranks),
    ]
    print(f"images of {SIDE}x{SIDE}, resnet11, torch {torch.__version__}; CPU ms, x the first")
    for panel in panels:
        print(f"\n| {panel.over} | " + " | ".join(f"{value:,}" for value in panel.values) + " |")
        print("|---" * (1 + len(panel.values)) + "|")
        for name, line in panel.lines.items():
            first, *_ = line.values()
            cells = [
                f"{seconds_of_point * 1e3:,.4g} ({seconds_of_point / first:.3g})"
                for seconds_of_point in line.values()
            ]
            print(f"| {name} | " + " | ".join(cells) + " |")
    if args.figure:
        draw(panels, args.figure)


if __name__ == "__main__":
    main()
