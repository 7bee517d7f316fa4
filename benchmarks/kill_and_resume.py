"""Kill a run at random moments, start it again, and compare with the run that was never touched.

    python benchmarks/kill_and_resume.py --times 100 --ranks 2 --workers 2 --signal random

Each time, the command is started and killed `--kills` times, from its first imports to its last
figure, then left alone. Compared are, bit by bit: weights, averaged weights, optimiser, open
windows, audit tables and evaluations in the last checkpoint; `metrics.csv` without its clock;
`labels.csv`; and the accuracies in `results.json`. The exit codes are looked at as well.
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
CLOCK = ("images_per_second",)
PATIENCE_SECONDS = 300


def command(ranks: int, workers: int, steps: int) -> list[str]:
    """Return a small run with everything in it: saves and evaluations at many different steps."""
    made = [sys.executable, "train.py", "method=l2r", "model=resnet11", f"max_steps={steps}"]
    made += ["evaluate_every=9", "log_every=4", "save_every_minutes=0.005", "logger=csv"]
    made += ["batch_size=20", f"dataset.num_workers={workers}", "trainer.accelerator=cpu"]
    return [*made, "trainer=ddp", f"trainer.devices={ranks}"] if ranks > 1 else made


class Started:
    """A run's process."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the process
        self.process = subprocess.Popen(
            [*words, f"run_dir={folder}"],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
        )

    def end(self) -> int:
        """Wait; return the exit code as a shell would."""
        code = self.process.wait(PATIENCE_SECONDS)
        return code if code >= 0 else 128 - code

    @property
    def said(self) -> str:
        """All it printed."""
        self._said.seek(0)
        return self._said.read()


def kill_once(words: list[str], folder: Path, signum: int, delay: float, group: bool) -> int | None:
    """Start, wait, kill; return the exit code, or None if it had ended before."""
    run = Started(words, folder)
    time.sleep(delay)
    if run.process.poll() is None:
        if group:  # as a terminal does with Ctrl-C, and a scheduler with a job
            os.killpg(run.process.pid, signum)
        else:
            run.process.send_signal(signum)
        return run.end()
    assert run.end() == 0, run.said
    return None


def finish(words: list[str], folder: Path) -> None:
    """Let it go on to its end."""
    run = Started(words, folder)
    assert run.end() == 0, run.said


def outcome(folder: Path) -> dict[str, Any]:
    """Return all of a finished run that must not depend on whether it was interrupted."""
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    callbacks = dict(saved["callbacks"])
    evaluations, log = callbacks.pop("Evaluations"), callbacks.pop("TrainingLog")
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    results = json.loads((folder / "results.json").read_text())
    return {
        "step": saved["global_step"],
        "weights": saved["state_dict"],
        "optimiser": saved["optimizer_states"],
        "audit tables": callbacks,
        "windows": log["windows"],
        "evaluations": evaluations["history"],
        "metrics.csv": [{k: v for k, v in row.items() if k not in CLOCK} for row in rows],
        "labels.csv": (folder / "labels.csv").read_text(),
        "results.json": {k: v for k, v in results.items() if k.startswith(("test/", "noise/"))},
    }


def same(one: Any, other: Any) -> bool:
    """Return whether two nested values are equal to the last bit, NaN being itself."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one.nan_to_num(7e33), other.nan_to_num(7e33))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other or (one != one and other != other))


def differing(folder: Path, whole: Path) -> list[str]:
    """Return in which respects a run differs from the one that was never touched."""
    ours, theirs = outcome(folder), outcome(whole)
    return [name for name in theirs if not same(ours[name], theirs[name])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--kills", type=int, default=2, help="in each time")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--signal", choices=[*SIGNALS, "random"], default="random")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    # a script in the background ignores Ctrl-C, and what it starts would, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    draw = random.Random(given.seed)
    words = command(given.ranks, given.workers, given.steps)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        began = time.monotonic()
        finish(words, whole)
        length = time.monotonic() - began
        print(f"never touched: {length:.1f} s for {given.steps} steps", flush=True)
        equal, struck, wrong_codes = 0, 0, 0
        for number in range(1, given.times + 1):
            one, story = Path(folder) / str(number), []
            for _ in range(given.kills):
                name = given.signal if given.signal in SIGNALS else draw.choice([*SIGNALS])
                delay, group = draw.uniform(0, 1.1 * length), draw.random() < 0.5
                code = kill_once(words, one, SIGNALS[name], delay, group)
                struck += code is not None
                # 0: it was asked in its last step, and finished
                wrong_codes += code not in (None, 0, 128 + SIGNALS[name])
                story.append(f"{name}{' to all' if group else ''} at {delay:.1f} s: {code}")
            finish(words, one)
            found = differing(one, whole)
            equal += not found
            print(f"{number}: {'; '.join(story)}: {found or 'equal'}", flush=True)
    print(
        f"{equal} of {given.times} ended equal to the run never touched ({struck} kills struck; "
        f"{wrong_codes} wrong exit codes; ranks={given.ranks} workers={given.workers} "
        f"signal={given.signal})"
    )
    sys.exit(equal != given.times or wrong_codes > 0)


if __name__ == "__main__":
    main()
