"""The balanced probe set, and the record of everything that was drawn about a data set."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.atomic import replacing
from datamodules.noise import Labels, Transition, corrupt, effective_rate, transition_counts
from datamodules.randomness import numpy_generator


def check_probe_per_class(per_class: int, smallest_class: int) -> None:
    """Raise a ValueError unless such a probe leaves every class an example to train on."""
    if not 0 <= per_class < smallest_class:
        raise ValueError(
            f"probe_per_class={per_class} cannot be drawn: the smallest class has {smallest_class} "
            f"examples, one of which must stay for training; give 0 to {smallest_class - 1}."
        )


def draw_probe(label: Labels, per_class: int, rng: np.random.Generator) -> Labels:
    """Draw a class-balanced probe set without replacement.

    The rows come class-interleaved, 0, 1, ..., C-1, 0, 1, ..., so that any C consecutive ones hold
    each class once (the reference's order; it never shuffles them).

    Args:
        label: clean labels (N,); every class in [0, C) occurs.
        per_class: rows for each class.
        rng: what is drawn with.

    Returns:
        Rows of `label`, (C * per_class,).

    Raises:
        ValueError: if a class would have no example left.
    """
    count = np.bincount(label)
    check_probe_per_class(per_class, int(count.min()))
    drawn = [
        rng.choice(np.flatnonzero(label == true), per_class, replace=False)
        for true in range(len(count))
    ]
    return np.stack(drawn, axis=1).ravel()


@dataclass(frozen=True, eq=False)
class Manifest:
    """What was drawn about a data set, and the settings it was drawn with.

    The arrays are int64. `train_rows`, `given` and `clean` have shape (N,) and describe the noisy
    examples, `probe_rows` and `probe_label` (M,) the trusted ones; rows are those of the data set's
    own training list.
    """

    dataset: str
    seed: int
    noise_model: str
    noise: float
    probe_per_class: int
    class_names: tuple[str, ...]
    train_rows: Labels
    given: Labels
    clean: Labels
    probe_rows: Labels
    probe_label: Labels

    @classmethod
    def draw(
        cls,
        label: Labels,
        transition: Transition,
        *,
        dataset: str,
        seed: int,
        noise_model: str,
        noise: float,
        probe_per_class: int,
        class_names: tuple[str, ...],
    ) -> "Manifest":
        """Take a probe out of the clean labels (N,), then draw noise for the rest with T (C, C).

        Raises:
            ValueError: if a class would have no example left.
        """
        probe = draw_probe(label, probe_per_class, numpy_generator(seed, "probe"))
        train = np.setdiff1d(np.arange(len(label)), probe)
        return cls(
            dataset=dataset,
            seed=seed,
            noise_model=noise_model,
            noise=noise,
            probe_per_class=probe_per_class,
            class_names=class_names,
            train_rows=train,
            given=corrupt(label[train], transition, numpy_generator(seed, "noise")),
            clean=label[train],
            probe_rows=probe,
            probe_label=label[probe],
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What determines the draws, ready for JSON."""
        return {
            "dataset": self.dataset,
            "seed": self.seed,
            "noise_model": self.noise_model,
            "nominal_noise": self.noise,
            "probe_per_class": self.probe_per_class,
            "class_names": list(self.class_names),
        }

    @property
    def arrays(self) -> dict[str, Labels]:
        """What was drawn."""
        return {
            "train_rows": self.train_rows,
            "given": self.given,
            "clean": self.clean,
            "probe_rows": self.probe_rows,
            "probe_label": self.probe_label,
        }

    @property
    def hash(self) -> str:
        """SHA-256 over the settings and the arrays, in hexadecimal."""
        digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode())
        for name, array in self.arrays.items():
            digest.update(f"{name} {len(array)}".encode())
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()

    def summary(self) -> dict[str, Any]:
        """Return settings, sizes, measured noise and the hash, ready for JSON."""
        num_classes = len(self.class_names)
        counts = transition_counts(self.clean, self.given, num_classes)
        return {
            **self.settings,
            "num_classes": num_classes,
            "num_train": len(self.given),
            "num_probe": len(self.probe_rows),
            "effective_noise": effective_rate(self.clean, self.given),
            "transition_counts": counts.tolist(),
            "probe_counts": np.bincount(self.probe_label, minlength=num_classes).tolist(),
            "hash": self.hash,
        }

    def describe(self) -> str:
        """Return a few lines for the terminal."""
        effective = effective_rate(self.clean, self.given)
        return (
            f"{len(self.given):,} noisy + {len(self.probe_rows):,} probe "
            f"({self.probe_per_class} per class) examples, {len(self.class_names)} classes; "
            f"noise {self.noise_model}, nominal {self.noise:.2f}, effective {effective:.2f}\n"
            f"drawn for {self.dataset} with seed {self.seed}, manifest {self.hash[:12]}"
        )

    def save(self, folder: Path) -> None:
        """Write `manifest.json` and `labels.npz`, each complete or not at all.

        Raises:
            ValueError: if the folder holds the manifest of other draws.
        """
        saved = self.saved_hash(folder)
        if saved is not None and saved != self.hash:
            raise ValueError(
                f"The data drawn now differ from those the run in {folder} began with (manifest "
                f"{self.hash[:12]}, not {saved[:12]}): continue it with its own settings, give "
                "another run_dir, or start again with fresh=true."
            )
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.summary(), indent=2)
        # The manifest comes last: where it is, the labels are too.
        with replacing(folder / "labels.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays)
        with replacing(folder / "manifest.json") as partial:
            partial.write_text(text)

    @staticmethod
    def saved_hash(folder: Path) -> str | None:
        """Return the hash of the manifest in a run folder, or None if there is none."""
        path = folder / "manifest.json"
        return str(json.loads(path.read_text())["hash"]) if path.exists() else None
