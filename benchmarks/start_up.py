"""How long a user waits for `--help`, and for the first training step on digits.

    python benchmarks/start_up.py [--repeats 5] [key=value …]

Each is a new process. Prints medians of its CPU time, and of the time by the clock, which depends
on other programs too. The first step counts as done when `metrics.csv` appears. Also lists the
large packages that `--help` imports. Linux only, because it reads another process's CPU time.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
LARGE = (
    *("torch", "torchvision", "pytorch_lightning", "torchmetrics"),
    *("wandb", "matplotlib", "sklearn", "scipy", "pandas", "pyarrow"),
)
PATIENCE_SECONDS = 120


class Durations(NamedTuple):
    """How long something took."""

    cpu: float  # seconds of CPU
    clock: float


def command(*words: str) -> list[str]:
    return [sys.executable, "train.py", *words]


def time_help() -> Durations:
    """Return how long `--help` takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command("--help"), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Durations(cpu, wall)


def time_first_step(*words: str) -> Durations:
    """Return how long a run takes until its first step is logged; then kill it."""
    with tempfile.TemporaryDirectory() as folder:
        run, start = Path(folder) / "run", time.perf_counter()
        words = ("trainer=cpu", "log_every=1", f"run_dir={run}", *words)
        with subprocess.Popen(command(*words), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            try:
                while not (run / "metrics.csv").exists():
                    assert process.poll() is None, "it ended before its first step"
                    assert time.perf_counter() - start < PATIENCE_SECONDS
                    time.sleep(0.01)
                wall = time.perf_counter() - start
                ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            finally:
                process.kill()
    user, system = (int(tick) / os.sysconf("SC_CLK_TCK") for tick in ticks[11:13])
    return Durations(user + system, wall)


def modules_of_help() -> set[str]:
    """Return the names of the modules that `--help` imports."""
    finished = subprocess.run(
        [sys.executable, "-X", "importtime", "train.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in finished.stderr.splitlines()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    args, overrides = parser.parse_known_args()
    works = {
        "--help": time_help,
        "first step, logger=csv": lambda: time_first_step("logger=csv", *overrides),
        "first step, logger=wandb": lambda: time_first_step(*overrides),
    }
    durations_by_work: dict[str, list[Durations]] = {name: [] for name in works}
    for _ in range(args.repeats):  # they take turns
        for name, work in works.items():
            durations_by_work[name].append(work())
    for name, each in durations_by_work.items():
        cpu, wall = (statistics.median(side) for side in zip(*each, strict=True))
        print(f"{name:26s} {cpu:5.2f} s of CPU, {wall:5.2f} s by the clock")
    names = modules_of_help()
    large = [name for name in LARGE if name in names]
    print(f"--help imports {', '.join(large) or 'none'} of {', '.join(LARGE)}")


if __name__ == "__main__":
    main()
