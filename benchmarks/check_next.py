"""Which examples should be checked next: random ones, as a run's list has them, or others?

    python benchmarks/check_next.py --method l2r --seeds 1 2 3 --count 50

Trains on noisy digits with one trusted example per class, lets each policy choose `count` more
(with all of them, the suggested classes take turns), reveals their true labels, and trains again
with these trusted too.
"""

import argparse
import csv
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.circle import train
from datamodules.split import interleave_classes

Floats = NDArray[np.float64]
RNG = np.random.default_rng(0)

# trust, confidence → priority: the lowest is chosen first
POLICIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "at random": lambda trust, sure: RNG.random(len(trust)),
    "surest suggestion": lambda trust, sure: -sure,
    "suspicious, surest suggestion": lambda trust, sure: np.where(trust < 0.5, -sure, 1 - sure),
    "lowest trust": lambda trust, sure: trust,
    "trust nearest one half": lambda trust, sure: abs(trust - 0.5),
    "least sure suggestion": lambda trust, sure: sure,
}


def chosen_table(run: Path, policy: str, count: int) -> str:
    """Return a CSV table of the chosen examples with their true labels."""
    with (run / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    trust, sure, suggested = (
        np.array([float(row[name]) for row in rows])
        for name in ("trust", "confidence", "suggested_label")
    )
    order = np.argsort(POLICIES[policy](trust, sure), kind="stable")
    picked = interleave_classes(order, suggested.astype(np.int64))[:count]
    lines = [f"{rows[row]['index']},{rows[row]['true_label']}" for row in picked.tolist()]
    return "\n".join(["index,true_label", *lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", default="l2r")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--policies", nargs="+", default=list(POLICIES))
    args, other_overrides = parser.parse_known_args()
    accuracies: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed in args.seeds:
            shared = [
                f"method={args.method}",
                f"seed={seed}",
                "probe_per_class=1",
                *other_overrides,
            ]
            first = train(folder / f"{seed}", *shared)
            accuracies.setdefault("nothing checked", []).append(first["test/acc_last"])
            for number, policy in enumerate(args.policies):
                table = folder / f"{seed}-{number}.csv"
                table.write_text(chosen_table(folder / f"{seed}", policy, args.count))
                trusted = f"dataset.trusted={table}"
                results = train(folder / f"{seed}-{number}", *shared, trusted)
                accuracies.setdefault(policy, []).append(results["test/acc_last"])
    print("| checked | test accuracy, mean | each seed |\n|---|---|---|")
    for name, values in accuracies.items():
        each = ", ".join(f"{value:.3f}" for value in values)
        print(f"| {name} | {statistics.mean(values):.3f} | {each} |")


if __name__ == "__main__":
    main()
