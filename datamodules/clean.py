"""Clean data sets for which label noise is drawn: the base of CIFAR and the digits."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from datamodules.augment import Augment
from datamodules.base import TEST, NoisyLabelDataModule, TestSet
from datamodules.config_checks import check_integer, check_one_of
from datamodules.images import ArrayImages, Images
from datamodules.label_files import read_checked_tables, read_label_file
from datamodules.long_tail import long_tail_counts, subsample
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.noise_models import GIVEN, NoiseModel
from datamodules.randomness import numpy_generator
from datamodules.released_draws import RELEASED_MODELS, released_draws
from datamodules.split import Candidates, check_probe_per_class
from datamodules.tables import as_paths


class Source(NamedTuple):
    """A whole data set, with clean labels."""

    train_image: Tensor  # (N, 3, H, W) uint8
    train_label: Labels  # (N,)
    test_image: Tensor  # (M, 3, H, W) uint8
    test_label: Labels  # (M,)


class CleanDataModule(NoisyLabelDataModule):
    """Takes a probe set out of clean data and draws noise for the rest, or loads both from a file.

    Args:
        name: what the data set is called in `dataset=`.
        data_dir: where downloads are looked for and saved.
        noise_model: one of `noise_models.NOISE_MODELS`, or `given`.
        noise: nominal noise rate in [0, 1); None where `labels` or `noise_matrix` determines it.
        noise_matrix: a file with T, (C, C), for `noise_model=matrix`.
        imbalance: ratio of the largest to the smallest class among the noisy examples, by true
            class (1: the data set's own sizes).
        train_per_class: the most noisy examples that each true class keeps, for experiments on part
            of the data; None: all.
        draws: `ours`, or `released`: exactly the probe set and the uniform or asymmetric noise that
            the released TensorFlow code draws with the same seed.
        labels: a file of labels to train on: the `labels.npz` of a run, which includes its probe
            set, or given labels for the whole training list (see `read_label_file`).
        trusted: one or more tables of checked examples, which join the probe set (see
            `read_checked_tables`).
        probe_per_class: trusted examples of each class, taken out of the training set.
        augment: kind of strong view.
        pad: padding of the weak view's random crop, in pixels.
        flip: whether views may be mirrored.
        rest: see `NoisyLabelDataModule`.

    Raises:
        ValueError: if a setting is impossible for this data set.
    """

    class_names: ClassVar[tuple[str, ...]]
    class_sizes: ClassVar[tuple[int, ...]]  # training examples of each class
    has_noisy_labels: ClassVar[bool] = False  # whether noisy labels come with the data set
    flips: ClassVar[Mapping[int, int]]  # true class -> given class, under asymmetric noise

    def __init__(
        self,
        *,
        name: str,
        data_dir: str | Path,
        noise_model: str,
        noise: float | None,
        probe_per_class: int | None,
        augment: str,
        pad: int,
        flip: bool,
        noise_matrix: str | None = None,
        imbalance: float = 1,
        train_per_class: int | None = None,
        draws: str = "ours",
        labels: str | None = None,
        trusted: str | Sequence[str] | None = None,
        **rest: Any,
    ) -> None:
        views = Augment(pad=pad, flip=flip, strong=augment)
        super().__init__(name=name, probe_per_class=probe_per_class, views=views, **rest)
        self.num_classes, self.train_size = len(self.class_sizes), sum(self.class_sizes)
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.noise_model = noise_model
        self.imbalance = imbalance
        self.train_per_class = train_per_class
        self._is_subsampled = imbalance != 1 or train_per_class is not None
        self.draws = draws
        self.labels = labels
        self.noise = noise
        self.loaded_labels: Manifest | Labels | None = None
        if labels is not None:
            if noise is not None or self._is_subsampled:
                raise ValueError(
                    f"labels={labels} brings its own noise, so noise={noise}, "
                    f"imbalance={imbalance} and dataset.train_per_class={train_per_class} would "
                    "not be used: give noise=null, imbalance=1 and dataset.train_per_class=null."
                )
            self.noise_model = GIVEN
            self.loaded_labels = read_label_file(labels, self.train_size, self.class_names)
        elif noise_model == GIVEN and not self.has_noisy_labels:
            raise ValueError(f"noise_model={GIVEN} needs labels=<file>, which says what is given.")
        check_integer("dataset.train_per_class", train_per_class, 1, or_null=True)
        self._label_noise = NoiseModel(
            self.noise_model, noise, noise_matrix, self.flips, self.num_classes
        )
        self._label_noise.check(name)
        if probe_per_class is None:
            raise ValueError(
                f"probe_per_class=null takes all that are trusted, and every label of {name} is: "
                "give a number."
            )
        self._check_draws()
        self._checked_labels = read_checked_tables(
            as_paths(trusted), self.train_size, self.class_names
        )
        check_probe_per_class(probe_per_class, min(self.class_sizes))
        checked = len(self._checked_labels[0])
        if isinstance(self.loaded_labels, Manifest) and checked:
            self.loaded_labels = self.loaded_labels.with_checked(*self._checked_labels)
        self._set_sizes(probe_per_class)
        if not isinstance(self.loaded_labels, Manifest):  # `_make_manifest` moves them
            self.num_train, self.num_probe = self.num_train - checked, self.num_probe + checked
        if self.num_train < 1:
            raise ValueError(
                f"dataset.trusted lists {checked:,} examples, and none is left to "
                "train on: fill in fewer."
            )

    def _check_draws(self) -> None:
        check_one_of("dataset.draws", self.draws, ("ours", "released"))
        if self.draws == "ours":
            return
        if self.noise_model not in RELEASED_MODELS or self._is_subsampled:
            raise ValueError(
                f"dataset.draws=released knows no noise_model={self.noise_model} with "
                f"imbalance={self.imbalance} and train_per_class={self.train_per_class}: give one "
                f"of {', '.join(RELEASED_MODELS)} with imbalance=1 and train_per_class=null, or "
                "dataset.draws=ours."
            )

    def _set_sizes(self, probe_per_class: int) -> None:
        if isinstance(self.loaded_labels, Manifest):
            self.probe_per_class = self.loaded_labels.settings["probe_per_class"]
            self.num_train = len(self.loaded_labels.train_rows)
            self.num_probe = len(self.loaded_labels.probe_rows)
            if probe_per_class != self.probe_per_class:
                self.notes = (
                    f"note: labels={self.labels} brings its own probe_per_class="
                    f"{self.probe_per_class}: probe_per_class={probe_per_class} is not used",
                )
            return
        left = np.array(self.class_sizes) - probe_per_class
        self.num_probe = probe_per_class * self.num_classes
        self.num_train = int(self._kept_sizes(left).sum())

    def _kept_sizes(self, sizes: Labels) -> Labels:
        """Return how many noisy examples of each class are kept, given how many there are."""
        if self.train_per_class is not None:
            sizes = np.minimum(sizes, self.train_per_class)
        if self.imbalance == 1:
            return sizes
        wanted = long_tail_counts(int(sizes.max()), self.num_classes, self.imbalance)
        return np.minimum(sizes, wanted)

    @abstractmethod
    def source(self) -> Source:
        """Return the whole data set with its clean labels."""

    def read(self) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        """Read everything, take out the probe set and draw the noise."""
        source = self.source()
        tests = {TEST: TestSet(ArrayImages(source.test_image), source.test_label)}
        return ArrayImages(source.train_image), self._make_manifest(source), tests

    def _make_manifest(self, source: Source) -> Manifest:
        manifest, (rows, label) = self._manifest_without_checked(source), self._checked_labels
        if isinstance(self.loaded_labels, Manifest) or not len(rows):
            return manifest
        extended = manifest.with_checked(rows, label)
        if len(extended.train_rows) != self.num_train:
            left_out = np.setdiff1d(rows, manifest.train_rows)[0]
            raise ValueError(
                f"dataset.trusted lists example {left_out}, which imbalance={self.imbalance} and "
                f"train_per_class={self.train_per_class} leave out: list others."
            )
        return extended

    def _manifest_without_checked(self, source: Source) -> Manifest:
        true, loaded_labels = source.train_label, self.loaded_labels
        if isinstance(loaded_labels, Manifest):
            return loaded_labels

        def given_labels(rows: Labels) -> Labels:
            if loaded_labels is not None:
                return loaded_labels[rows]
            image = source.train_image
            return self._label_noise.draw_labels(
                true[rows], lambda: image[torch.from_numpy(rows)].numpy(), self.seed
            )

        def subsample_rows(rows: Labels) -> Labels:
            counts = self._kept_sizes(np.bincount(true[rows], minlength=self.num_classes))
            return rows[subsample(true[rows], counts, numpy_generator(self.seed, "long tail"))]

        settings = {
            "dataset": self.name,
            "seed": self.seed,
            "noise_model": self.noise_model,
            "nominal_noise": self.noise,
            "probe_per_class": self.probe_per_class,
        }
        if self.imbalance != 1:
            settings["imbalance"] = self.imbalance
        if self.train_per_class is not None:
            settings["train_per_class"] = self.train_per_class
        if self.draws == "released":
            return self._released_manifest(true, {**settings, "draws": "released"})
        return Manifest.draw(
            Candidates(true),
            given_labels,
            settings=settings,
            class_names=self.class_names,
            subset=subsample_rows if self._is_subsampled else None,
        )

    def _released_manifest(self, true: Labels, settings: Mapping[str, Any]) -> Manifest:
        assert self.noise is not None
        assert self.probe_per_class is not None
        train_rows, given, probe_rows = released_draws(
            true,
            self.noise_model,
            self.noise,
            probe_per_class=self.probe_per_class,
            flips=self.flips,
            seed=self.seed,
        )
        return Manifest(
            settings=settings,
            class_names=self.class_names,
            train_rows=train_rows,
            given=given,
            clean=true[train_rows],
            probe_rows=probe_rows,
            probe_label=true[probe_rows],
        )
