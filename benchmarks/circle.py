"""Train, audit, clean the labels, train again: is the second training better?

    python benchmarks/circle.py --methods supervised l2r ieg --seeds 1 2 3

Each method trains on noisy digits and writes cleaned labels; then supervised training, the same for
all methods, is run on these and on the noisy labels. Other overrides, such as
`dataset=digits_uniform`, go to every run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

COLUMNS = {
    "first": "test acc, first",
    "before": "wrong labels before",
    "after": "after",
    "replaced": "replaced",
    "left_out": "left out",
    "expected": "expected right",
    "precision": "are right",
    "noisy": "supervised, noisy labels",
    "second": "supervised, cleaned labels",
}


def train(folder: Path, *overrides: str) -> dict[str, Any]:
    overrides_of_run = [*overrides, "logger=none", f"run_dir={folder}"]
    finished = subprocess.run(
        [sys.executable, "train.py", *overrides_of_run],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        raise SystemExit(f"{' '.join(overrides_of_run)}\n{finished.stdout}{finished.stderr}")
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return results


def circle(
    folder: Path, method: str, seed: int, other_overrides: Sequence[str]
) -> dict[str, float]:
    shared_overrides = [*other_overrides, f"seed={seed}"]
    first = train(folder / "first", f"method={method}", *shared_overrides)
    noisy = train(folder / "noisy", "method=supervised", *shared_overrides)
    labels = f"labels={folder}/first/labels_cleaned.npz"
    second = train(folder / "second", "method=supervised", labels, "noise=null", *shared_overrides)
    return {
        "first": first["test/acc_last"],
        "before": first["cleaned/noise_before"],
        "after": first["cleaned/noise_after"],
        "replaced": first["cleaned/replaced"],
        "left_out": first["cleaned/left_out"],
        "expected": first["cleaned/expected_precision"],
        "precision": first["cleaned/precision"],
        "noisy": noisy["test/acc_last"],
        "second": second["test/acc_last"],
    }


def cell(values: Sequence[float]) -> str:
    mean = statistics.mean(values)
    if mean > 1:
        return f"{mean:.0f}"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean:.3f}{spread}"


def print_table(
    description: str,
    heads: Sequence[str],
    measure: Callable[[Path, str, int, Sequence[str]], Sequence[float]],
) -> None:
    """Print what is measured for each method and seed of the command line, a method a row.

    Args:
        description: of the benchmark.
        heads: the column heads; the first is the methods'.
        measure: maps an empty folder, a method, a seed and other overrides to the values of all
            other columns.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--methods", nargs="+", default=["supervised", "l2r", "ieg"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    args, other_overrides = parser.parse_known_args()
    print(f"| {' | '.join([heads[0], 'n', *heads[1:]])} |")
    print("|---" * (len(heads) + 1) + "|")
    for method in args.methods:
        with tempfile.TemporaryDirectory() as folder:
            rows = [
                measure(Path(folder) / str(seed), method, seed, other_overrides)
                for seed in args.seeds
            ]
        cells = [cell(values) for values in zip(*rows, strict=True)]
        print(f"| {method} | {len(rows)} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    def measure(*arguments: Any) -> list[float]:
        row = circle(*arguments)
        return [row[name] for name in COLUMNS]

    print_table(__doc__.splitlines()[0], ["cleaned by", *COLUMNS.values()], measure)


if __name__ == "__main__":
    main()
