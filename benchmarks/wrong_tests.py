"""Are wrong labels found among test pictures that nobody checked?

    python benchmarks/wrong_tests.py --methods supervised l2r --seeds 1 2 3

Writes scikit-learn's digits as a folder of pictures, of which three in ten are the test split. In
both splits 40 % of the 7s, 2s, 5s, 6s and 3s lie in the folder of a look-alike. Ten training
pictures of each class are checked. A seed draws all of this. The truth is kept from the run, and
compared with what `labels_test.csv` says. Other overrides go to every run.
"""

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parents[1]))

from audit.detection import auroc, average_precision
from audit.record import SUSPICIOUS
from benchmarks.circle import print_table, train

LOOK_ALIKE = {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}
RATE, TEST_SHARE, CHECKED_PER_CLASS = 0.4, 0.3, 10

SETTINGS = (
    "dataset=folder", "model=resnet11", "dataset.image_size=16", "dataset.pad=2",
    "dataset.flip=false", "max_steps=200",
)  # fmt: skip

COLUMNS = ("wrong", "AUROC", "average precision", "suspicious", "of these wrong", "of all wrong")


def write_pictures(folder: Path, seed: int) -> dict[str, int]:
    """Write `photos` and `checked.csv`; return path → true class."""
    rng, digits, truth = np.random.default_rng(seed), load_digits(), {}
    for number, (image, target) in enumerate(zip(digits.images, digits.target, strict=True)):
        true = int(target)
        given = LOOK_ALIKE[true] if true in LOOK_ALIKE and rng.random() < RATE else true
        split = "test" if rng.random() < TEST_SHARE else "train"
        path = Path(split, str(given), f"{number:04d}.png")
        (folder / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray((image * 15.9).astype(np.uint8))
        picture.resize((16, 16), Image.Resampling.BICUBIC).save(folder / "photos" / path)
        truth[str(path)] = true
    training = [path for path in truth if path.startswith("train")]
    count = Counter[int]()
    with (folder / "checked.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "true_label"])
        for place in rng.permutation(len(training)).tolist():
            path, true = training[place], truth[training[place]]
            count[true] += 1
            if count[true] <= CHECKED_PER_CLASS:
                rows.writerow([path, true])
    return truth


def measure(folder: Path, method: str, seed: int, overrides: Sequence[str]) -> list[float]:
    truth = write_pictures(folder, seed)
    data = [f"data_dir={folder}/photos", f"dataset.trusted={folder}/checked.csv"]
    train(folder / "run", f"method={method}", *SETTINGS, *data, *overrides)
    with (folder / "run" / "labels_test.csv").open() as file:
        rows = list(csv.DictReader(file))
    wrong = torch.tensor([int(row["given_label"]) != truth[row["path"]] for row in rows])
    trust = torch.tensor([float(row["trust"]) for row in rows], dtype=torch.float64)
    pairs, suspicious = torch.stack([-trust, wrong.double()], dim=1), trust < SUSPICIOUS
    found = (suspicious & wrong).sum()
    values = (
        wrong.double().mean(), auroc(pairs), average_precision(pairs), suspicious.double().mean(),
        found / suspicious.sum(), found / wrong.sum(),
    )  # fmt: skip
    return [float("nan" if value is None else value) for value in values]


if __name__ == "__main__":
    print_table(__doc__.splitlines()[0], ["method", *COLUMNS], measure)
