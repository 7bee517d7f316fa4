"""Kill a run at random moments, resume it, and compare with a run that was not interrupted.

    python benchmarks/kill_and_resume.py --times 100 --ranks 2 --workers 2 --signal random

Each time, the command is started and killed `--kills` times, anywhere from reading its settings to
writing its last files, then left to finish. A signal goes to one rank, or to all of them and their
loader workers. Compared bit by bit: weights, averaged weights, optimiser, open windows, audit
tables, counts and evaluations in the last checkpoint; `metrics.csv` without pace and memory;
`labels.csv`; and `test/…` and `noise/…` in `results.json`. Exit codes are checked too.
"""

import argparse
import csv
import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from anywhere

from benchmarks.started import ForkedRun

SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
MACHINE_COLUMNS = ("images_per_second", "memory_bytes")


def small_run_overrides(ranks: int, workers: int, steps: int) -> list[str]:
    """Return the overrides of a small run, with saves and evaluations at many different steps."""
    overrides = [
        "method=l2r",
        "model=resnet11",
        f"max_steps={steps}",
        "batch_size=20",
        "logger=csv",
    ]
    overrides += ["evaluate_every=9", "log_every=4", "save_every_minutes=0.005"]
    overrides += [f"dataset.num_workers={workers}", "trainer.accelerator=cpu"]
    return [*overrides, "trainer=ddp", f"trainer.devices={ranks}"] if ranks > 1 else overrides


class Trial:
    """One run folder, in which the same command is started again and again.

    Args:
        overrides: of the command.
        folder: the run's.
        ranks: number of processes.
    """

    def __init__(self, overrides: list[str], folder: Path, ranks: int) -> None:
        self.overrides = overrides
        self.folder = folder
        self.ranks = ranks
        self.history: list[str] = []
        self.kills_that_struck = 0
        self.wrong_codes = 0

    def start(self) -> ForkedRun:
        """Start the command."""
        return ForkedRun(self.overrides, self.folder, self.ranks)

    def kill(self, signum: int, delay: float, rank: int | None) -> None:
        """Start it, and signal one rank (None: all) after `delay` seconds, if it still runs."""
        run = self.start()
        time.sleep(delay)
        struck = run.is_alive(rank)
        run.send(signum, rank)
        code = run.end()
        finished = (self.folder / "results.json").exists()
        # A run asked to stop during its last step ends normally. And if another rank was struck,
        # the first one may be asked to stop too, or find that rank gone.
        right = code == 0 and finished
        if struck:
            right |= code == 128 + signum or (rank not in (None, 0) and code in (1, 137, 143))
        self.kills_that_struck += struck
        self.wrong_codes += not right
        to = "all" if rank is None else f"rank {rank}"
        self.history.append(f"{signal.Signals(signum).name} to {to} at {delay:.1f} s: {code}")
        if not right:
            print(run.output, flush=True)

    def finish(self) -> None:
        """Start it, and let it run to its end."""
        run = self.start()
        assert run.end() == 0, run.output


def comparable_outcome(folder: Path) -> dict[str, Any]:
    """Return what must not depend on whether a finished run was interrupted."""
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    callbacks = dict(saved["callbacks"])
    evaluations, log = callbacks.pop("Evaluations"), callbacks.pop("TrainingLog")
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    results = json.loads((folder / "results.json").read_text())
    return {
        "step": saved["global_step"],
        "weights": saved["state_dict"],
        "optimiser": saved["optimizer_states"],
        "audit tables and counts": callbacks,
        "windows": log["windows"],
        "evaluations": evaluations["history"],
        "metrics.csv": [{k: v for k, v in row.items() if k not in MACHINE_COLUMNS} for row in rows],
        "labels.csv": (folder / "labels.csv").read_text(),
        "results.json": {k: v for k, v in results.items() if k.startswith(("test/", "noise/"))},
    }


def same(one: Any, other: Any) -> bool:
    """Return whether two nested values are equal to the last bit, NaN being equal to NaN."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one.nan_to_num(7e33), other.nan_to_num(7e33))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))


def differing_parts(folder: Path, untouched: Path) -> list[str]:
    """Return the names of what differs from the run that was not interrupted, `untouched`."""
    ours, theirs = comparable_outcome(folder), comparable_outcome(untouched)
    return [name for name in theirs if not same(ours[name], theirs[name])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--kills", type=int, default=2, help="in each time")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--signal", choices=[*SIGNALS, "random"], default="random")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    generator = random.Random(args.seed)
    overrides = small_run_overrides(args.ranks, args.workers, args.steps)
    with tempfile.TemporaryDirectory() as folder:
        untouched = Trial(overrides, Path(folder) / "whole", args.ranks)
        warm = Trial(overrides, Path(folder) / "first", args.ranks)  # the server does its imports
        warm.finish()
        began = time.monotonic()
        untouched.finish()
        seconds = time.monotonic() - began
        print(f"never touched: {seconds:.1f} s for {args.steps} steps", flush=True)
        equal, trials = 0, []
        for number in range(1, args.times + 1):
            trial = Trial(overrides, Path(folder) / str(number), args.ranks)
            trials.append(trial)
            for _ in range(args.kills):
                name = args.signal if args.signal in SIGNALS else generator.choice([*SIGNALS])
                rank = generator.choice([None, *range(args.ranks)])
                trial.kill(SIGNALS[name], generator.uniform(0, 1.1 * seconds), rank)
            trial.finish()
            differences = differing_parts(trial.folder, untouched.folder)
            equal += not differences
            print(f"{number}: {'; '.join(trial.history)}: {differences or 'equal'}", flush=True)
    wrong_codes = sum(trial.wrong_codes for trial in trials)
    print(
        f"{equal} of {args.times} ended equal to the run never touched "
        f"({sum(trial.kills_that_struck for trial in trials)} kills struck; {wrong_codes} wrong "
        f"exit codes; ranks={args.ranks} workers={args.workers} signal={args.signal})"
    )
    sys.exit(equal != args.times or wrong_codes > 0)


if __name__ == "__main__":
    main()
