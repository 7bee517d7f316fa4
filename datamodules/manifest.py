"""The record of everything drawn for a data set: probe set, noise, and rows to train on."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.atomic import atomic_replace, write_text
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.noise import Labels, effective_rate, transition_counts
from datamodules.randomness import numpy_generator
from datamodules.split import Candidates, draw_probe, interleave_classes

_ARRAYS = ("train_rows", "given", "clean", "probe_rows", "probe_label")


@dataclass(frozen=True, eq=False)
class Manifest:
    """What was drawn for a data set, and the settings it was drawn with.

    The arrays are int64. `train_rows`, `given` and `clean` have shape (N,) and describe the noisy
    examples (`clean` may be `UNKNOWN` or `KNOWN_WRONG`), `probe_rows` and `probe_label` (M,) the
    trusted ones; rows are those of the data set's own training list.
    """

    settings: Mapping[str, Any]  # what determines the draws, ready for JSON
    class_names: tuple[str, ...]
    train_rows: Labels
    given: Labels
    clean: Labels
    probe_rows: Labels
    probe_label: Labels

    @classmethod
    def draw(
        cls,
        candidates: Candidates,
        given_labels: Callable[[Labels], Labels],
        *,
        settings: Mapping[str, Any],
        class_names: tuple[str, ...],
        subset: Callable[[Labels], Labels] | None = None,
    ) -> "Manifest":
        """Take a probe set out of the trusted rows; the remaining noisy rows are for training.

        Args:
            candidates: the true classes, and what each row may be.
            given_labels: rows → their given labels; it draws the noise, if any is drawn.
            settings: what determines the draws; `seed` and `probe_per_class` are used here. If the
                latter is None, all trusted rows are the probe set.
            class_names: of the C classes.
            subset: rows → those of them to keep, for smaller or long-tailed classes.
        """
        per_class, true = settings["probe_per_class"], candidates.true
        if per_class is None:
            # None: all are trusted, and none would be left to train on
            assert candidates.trusted is not None
            probe = interleave_classes(np.flatnonzero(candidates.trusted), true)
        else:
            rng = numpy_generator(settings["seed"], "probe")
            probe = draw_probe(true, per_class, rng, candidates.trusted)
        rows = (
            np.arange(len(true)) if candidates.noisy is None else np.flatnonzero(candidates.noisy)
        )
        train = np.setdiff1d(rows, probe, assume_unique=True)  # both are unique, and `rows` sorted
        if subset is not None:
            train = subset(train)
        return cls(
            settings=settings,
            class_names=class_names,
            train_rows=train,
            given=given_labels(train),
            clean=true[train],
            probe_rows=probe,
            probe_label=true[probe],
        )

    def with_checked(self, rows: Labels, label: Labels) -> "Manifest":
        """Return a manifest with checked examples moved into the probe set, classes interleaved.

        Args:
            rows: (K,) of the training list; they need not be among `train_rows`.
            label: (K,) their true classes.

        Raises:
            ValueError: if one is in the probe set already.
        """
        inside = np.intersect1d(rows, self.probe_rows)
        if len(inside):
            raise ValueError(
                f"dataset.trusted lists example {inside[0]}, which is in the probe already: draw "
                "as the run did whose list it is, with its seed, or give its labels.npz as labels= "
                "with noise=null."
            )
        stays = ~np.isin(self.train_rows, rows)
        probe = np.concatenate([self.probe_rows, rows])
        true = np.full(probe.max() + 1, UNKNOWN)
        true[probe] = np.concatenate([self.probe_label, label])
        probe = interleave_classes(probe, true)
        return Manifest(
            settings={**self.settings, "checked": self.settings.get("checked", 0) + len(rows)},
            class_names=self.class_names,
            train_rows=self.train_rows[stays],
            given=self.given[stays],
            clean=self.clean[stays],
            probe_rows=probe,
            probe_label=true[probe],
        )

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read a `labels.npz`.

        Raises:
            ValueError: if it is missing, damaged, or was changed after it was written.
        """
        try:
            with np.load(path, allow_pickle=False) as saved:
                drawn_as = json.loads(str(saved["drawn_as"]))
                loaded = cls(
                    drawn_as["settings"],
                    tuple(drawn_as["class_names"]),
                    **{name: saved[name].astype(np.int64) for name in _ARRAYS},
                )
        except Exception as error:  # unpacking raises many kinds
            raise ValueError(f"{path} holds no drawn labels ({error}).") from None
        if loaded.hash != drawn_as["hash"]:
            raise ValueError(f"{path} was changed after it was written: its hash does not fit.")
        return loaded

    @property
    def arrays(self) -> dict[str, Labels]:
        """The arrays that were drawn, by name."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @property
    def hash(self) -> str:
        """SHA-256 over the settings and the arrays, in hexadecimal."""
        head = {"settings": dict(self.settings), "class_names": self.class_names}
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for name, array in self.arrays.items():
            digest.update(f"{name} {len(array)}".encode())
            digest.update(array.astype("<i8").tobytes())
        return digest.hexdigest()

    @property
    def effective_noise(self) -> float | None:
        """The share of wrong labels among those known to be right or wrong; None if none is."""
        is_known = self.clean != UNKNOWN
        return (
            effective_rate(self.clean[is_known], self.given[is_known]) if is_known.any() else None
        )

    def summary(self) -> dict[str, Any]:
        """Return settings, sizes, measured noise and the hash, ready for JSON."""
        num_classes, is_known = len(self.class_names), self.clean >= 0
        counts = transition_counts(self.clean[is_known], self.given[is_known], num_classes)
        return {
            **self.settings,
            "class_names": list(self.class_names),
            "num_classes": num_classes,
            "num_train": len(self.given),
            "num_probe": len(self.probe_rows),
            "effective_noise": self.effective_noise,
            "transition_counts": counts.tolist(),
            "wrong_of_unknown_class": int((self.clean == KNOWN_WRONG).sum()),
            "given_counts": np.bincount(self.given, minlength=num_classes).tolist(),
            "probe_counts": np.bincount(self.probe_label, minlength=num_classes).tolist(),
            "hash": self.hash,
        }

    def describe(self) -> str:
        """Return a few lines for the terminal."""
        settings, per_class = self.settings, self.settings["probe_per_class"]
        probe_size = "all that are trusted" if per_class is None else f"{per_class} per class"
        if checked := settings.get("checked"):
            probe_size += f" and {checked:,} checked"
        rate, nominal = self.effective_noise, settings.get("nominal_noise")
        noise_parts = [f"noise {settings['noise_model']}"]
        if nominal is not None:
            noise_parts.append(f"nominal {nominal:.2f}")
        noise_parts.append("rate unknown" if rate is None else f"effective {rate:.2f}")
        num_known = int((self.clean != UNKNOWN).sum())
        if 0 < num_known < len(self.clean):
            noise_parts[-1] += f" of the {num_known:,} that are known to be right or wrong"
        return (
            f"{len(self.given):,} noisy + {len(self.probe_rows):,} probe ({probe_size}) examples, "
            f"{len(self.class_names)} classes; {', '.join(noise_parts)}\n"
            f"drawn for {settings['dataset']} with seed {settings['seed']}, "
            f"manifest {self.hash[:12]}"
        )

    def save(self, folder: Path) -> None:
        """Write `manifest.json` and `labels.npz`, each complete or not at all.

        Raises:
            ValueError: if the folder holds another manifest, or its labels were changed.
        """
        self.check_saved(folder)
        saved, labels = self.saved_hash(folder), folder / "labels.npz"
        if saved is not None and labels.exists():
            try:
                intact = Manifest.load(labels).hash == saved
                reason = "" if intact else "it holds other labels"
            except ValueError as error:
                reason = str(error)
            if reason:
                raise ValueError(
                    f"{labels} is not what this run began with ({reason.rstrip('.')}): put it back "
                    "or take it away to go on; changed labels are trained on with labels=<file> in "
                    "another run_dir."
                )
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.write(labels)
        # The manifest is written last: where it is, the labels are too.
        write_text(folder / "manifest.json", json.dumps(self.summary(), indent=2))

    def check_saved(self, folder: Path) -> None:
        """Raise a `ValueError` if a run's folder holds another manifest than this."""
        saved = self.saved_hash(folder)
        if saved is not None and saved != self.hash:
            raise ValueError(
                f"The data drawn now differ from those the run in {folder} began with (manifest "
                f"{self.hash[:12]}, not {saved[:12]}): continue it with its own settings, give "
                "another run_dir, or start again with fresh=true."
            )

    def write(self, path: Path) -> None:
        """Write a file that `load` reads, complete or not at all."""
        drawn_as = {
            "settings": dict(self.settings),
            "class_names": self.class_names,
            "hash": self.hash,
        }
        with atomic_replace(path) as partial, partial.open("wb") as file:
            np.savez_compressed(
                file, allow_pickle=False, drawn_as=np.array(json.dumps(drawn_as)), **self.arrays
            )

    @staticmethod
    def saved_hash(folder: Path) -> str | None:
        """Return the hash of the manifest in a run folder, or None if there is none.

        Raises:
            ValueError: if it cannot be read.
        """
        path = folder / "manifest.json"
        try:
            return str(json.loads(path.read_text())["hash"]) if path.exists() else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}): put it back, or give fresh=true to set the run "
                "aside and start again."
            ) from None
