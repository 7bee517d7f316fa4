"""The base data module: makes the batches and views of a step; subclasses only read the data.

Test data must not select anything: the validation loaders *are* the test sets, so that curves can
be drawn, and no method, schedule or checkpoint may depend on their results.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from pytorch_lightning import LightningDataModule
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.augment import normalise
from datamodules.augment_draws import WHOLE_BATCH, BatchShard
from datamodules.batch import UNKNOWN, Batch, Step, Views
from datamodules.config_checks import check_integer
from datamodules.images import Images
from datamodules.labelled_images import LabelledImages
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.randomness import torch_generator
from datamodules.samplers import (
    EndlessOrder,
    ExampleStream,
    StepBatches,
    StepSampler,
    TrainingSteps,
    shard_batches,
)
from datamodules.split import NONE_CHECKED, Checked, Mask, Unlabelled
from datamodules.unreadable import Unreadable
from datamodules.workers import leave_signals_to_parent

TEST = "test"


class ViewMaker(Protocol):
    """Makes a batch's views on its device."""

    def views(
        self, image: Tensor, generator: Generator, shard: BatchShard, *, strong: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return weak views and, if `strong`, strong ones, each (B, 3, H, W) float32 in [-1, 1].

        Args:
            image: this rank's part of the global batch, uint8, as `Images.for_training` returns it.
            generator: a CPU generator, in the same state on all ranks.
            shard: which part that is.
            strong: whether the method uses strong views.
        """
        ...


class TestSet(NamedTuple):
    """The images and labels of a test set."""

    images: Images
    label: Labels  # (M,) int64
    rows: Labels | None = None  # (M,) int64, of the images; None: all, in order


class NoisyLabelDataModule(LightningDataModule):
    """Provides the batches of training steps and of evaluation.

    Each data set is a subclass that sets the attributes below and implements `read`. Whatever
    follows from lists alone is known before `setup`, so that a wrong setting is refused at once.

    Args:
        name: what the data set is called in `dataset=`.
        probe_per_class: trusted examples of each class, taken out of the training set; None: all
            that are trusted.
        batch_size: training batch size over all devices.
        eval_batch_size: evaluation batch size of each device.
        views: makes the views of a batch.
        seed: the seed that all draws derive from.
        num_workers: data loader workers of each device.

    Raises:
        ValueError: if a setting is impossible for this data set.
    """

    num_classes: int
    train_size: int  # rows of the training list, probe included
    num_train: int  # noisy examples
    num_probe: int  # trusted examples
    noise: float | None = None  # nominal rate, where noise is drawn
    notes: Sequence[str] = ()  # messages for the user, one sentence each
    test_names: tuple[str, ...] = (TEST,)
    paths: Sequence[str] | None = None  # of the training list's pictures, if they are files

    unreadable: Unreadable  # pictures that could not be read so far
    manifest: Manifest
    train_set: LabelledImages
    probe_set: LabelledImages
    test_sets: dict[str, LabelledImages]

    def __init__(
        self,
        *,
        name: str,
        probe_per_class: int | None,
        batch_size: int,
        eval_batch_size: int,
        views: ViewMaker,
        seed: int,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        check_integer("dataset.eval_batch_size", eval_batch_size, 1)
        check_integer("dataset.num_workers", num_workers, 0)
        self.name = name
        self.probe_per_class = probe_per_class
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.view_maker = views
        self.seed = seed
        self.num_workers = num_workers
        self.unreadable = Unreadable()

    @abstractmethod
    def read(self) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        """Return the training list's images, the manifest of what is drawn, and the test sets."""

    def advice_without_probe(self) -> str:
        """Return advice for the user whose method needs trusted examples where there are none."""
        return "There are no trusted examples: give probe_per_class=1 or more."

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in the noisy training set, at least 1."""
        return max(1, self.num_train // self.batch_size)

    def epochs(self, steps: int) -> float:
        """Return how many epochs of the noisy training set a number of steps is."""
        return steps * self.batch_size / self.num_train

    @property
    def is_read(self) -> bool:
        """Whether `setup` has read the data."""
        return hasattr(self, "manifest")

    def setup(self, stage: str | None = None) -> None:
        """Read the data and draw what has to be drawn; further calls do nothing."""
        if not self.is_read:
            self._set_data(*self.read())

    def setup_lazily(self) -> None:
        """Like `setup`, for `mode=check`, which checks each picture itself: none has to exist."""
        self.setup()

    def save_for_evaluation(self, folder: Path) -> None:
        """Write to a run's folder what its evaluation needs that may change later; here nothing."""

    def original_labels(self, rows: Labels) -> Labels:
        """Return the labels that the data set itself gives to training rows, -1 where none."""
        return np.full(len(rows), -1)

    def unread(self, rows: Labels) -> Mask:
        """Return which rows of the training list are pictures that could not be read so far."""
        return np.zeros(len(rows), dtype=np.bool_)

    def unread_tests(self, rows: Labels) -> Mask:
        """Return which rows of the main test set are pictures that could not be read so far."""
        return np.zeros(len(rows), dtype=np.bool_)

    def checked(self) -> Checked:
        """Return the rows of the training list that the user checked, with their true classes.

        Not what those who made the data set know of it: that measures what was found.
        """
        return NONE_CHECKED

    def tested_pictures(self) -> Sequence[tuple[str, int, bool]]:
        """Return the test pictures that come from the same folder or table as the training ones.

        Each as path, label, and whether the label is known to be right.
        """
        return ()

    def named_test_labels(self) -> tuple[Sequence[str], Labels]:
        """Return the names and labels of the main test set, (M,); here a name is a position."""
        label = self.test_sets[self.test_names[0]].label.numpy()
        return [str(position) for position in range(len(label))], label

    @property
    def test_set_hash(self) -> str:
        """Eight hexadecimal digits that tell which main test set it is.

        They follow from names and classes in any order, not from pixels: cheap for any size.
        """
        names, label = self.named_test_labels()
        classes = [self.manifest.class_names[index] for index in label.tolist()]
        listed = json.dumps(sorted(zip(names, classes, strict=True)))
        return hashlib.sha256(listed.encode()).hexdigest()[:8]

    def unlabelled_pictures(self) -> Sequence[Unlabelled]:
        """Return the user's own pictures without a label, neither trained nor tested on."""
        return ()

    def unchecked_test_set(self) -> LabelledImages:
        """Return those of `tested_pictures` whose labels nobody checked.

        Their index is the row of the main test set.
        """
        is_right = np.array([is_right for *_, is_right in self.tested_pictures()], dtype=np.bool_)
        rows, tested = np.flatnonzero(~is_right), self.test_sets[self.test_names[0]]
        unknown = np.full(len(rows), UNKNOWN)
        return LabelledImages(tested.images, tested.label.numpy()[rows], unknown, rows)

    @property
    def all_images(self) -> list[Images]:
        """The images of the training list and of all test sets, each once."""
        lists = [examples.images for examples in (self.train_set, *self.test_sets.values())]
        return list({id(images): images for images in lists}.values())

    def _set_data(self, images: Images, manifest: Manifest, tests: Mapping[str, TestSet]) -> None:
        trusted = manifest.probe_label
        self.train_set = LabelledImages(images, manifest.given, manifest.clean, manifest.train_rows)
        self.probe_set = LabelledImages(images, trusted, trusted, manifest.probe_rows)
        self.test_sets = {
            name: LabelledImages(
                images, label, label, np.arange(len(label)) if rows is None else rows
            )
            for name, (images, label, rows) in tests.items()
        }
        self.manifest = manifest

    def train_dataloader(self) -> DataLoader[StepBatches]:
        """Return an endless loader of steps that starts at the trainer's next step."""
        trainer = self.trainer
        wants_probe = trainer is None or trainer.lightning_module.uses_probe
        windows = 2 if trainer is not None and trainer.lightning_module.uses_strong_view else 1
        train = ExampleStream(
            self.train_set, self._example_order(self.train_set, "train"), "train", windows
        )
        probe = ExampleStream(self.probe_set, self._example_order(self.probe_set, "probe"), "probe")
        steps = TrainingSteps(train, probe if self.num_probe and wants_probe else None)
        return self._loader(steps, StepSampler(lambda: trainer.global_step if trainer else 0))

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        """Return the test loaders, for the curves; nothing may be selected by their results."""
        return self.test_dataloader()

    def test_dataloader(self) -> list[DataLoader[Batch]]:
        """Return a loader of this rank's share of each test set; each example is on one rank."""
        return [self.evaluation_loader(examples) for examples in self.test_sets.values()]

    def evaluation_loader(
        self, examples: LabelledImages, *, shared: bool = True
    ) -> DataLoader[Batch]:
        """Return a loader of examples for evaluation, each once: this rank's share, or all."""
        shard = self._shard if shared else WHOLE_BATCH
        return self._loader(examples, shard_batches(len(examples), self.eval_batch_size, *shard))

    def on_after_batch_transfer(
        self, batch: StepBatches | Batch, dataloader_idx: int
    ) -> Step | Views:
        """Make the views of a step on the batch's device; evaluation sees plain images.

        Every draw is a function of (seed, step) and of the example's place in the global batch,
        whatever the number of ranks. Weak views are drawn first, so that they are the same whether
        or not the method uses strong ones.
        """
        if isinstance(batch, Batch):
            return Views(weak=normalise(batch.image), strong=None, label=batch.clean_label)
        trainer = self.trainer
        assert trainer is not None  # only a trainer transfers batches
        wants_strong = bool(trainer.lightning_module.uses_strong_view)

        def views(examples: Batch, purpose: str, strong: bool) -> Views:
            draws = torch_generator(self.seed, f"{purpose} views", trainer.global_step)
            weak_and_strong = self.view_maker.views(
                examples.image, draws, self._shard, strong=strong
            )
            return Views(*weak_and_strong, examples.label)

        train = views(batch.train, "train", wants_strong)
        probe = None if batch.probe is None else views(batch.probe, "probe", strong=False)
        return Step(train, probe, batch.train)

    @property
    def _shard(self) -> BatchShard:
        trainer = self.trainer
        return BatchShard(trainer.global_rank, trainer.world_size) if trainer else WHOLE_BATCH

    def _example_order(self, examples: LabelledImages, purpose: str) -> EndlessOrder:
        rank, world_size = self._shard
        return EndlessOrder(
            len(examples),
            self.batch_size,
            seed=self.seed,
            purpose=f"{purpose} order",
            shuffle=purpose == "train",
            rank=rank,
            world_size=world_size,
        )

    def _loader(self, dataset: Dataset[Any], sampler: Iterable[Any]) -> DataLoader[Any]:
        on_cuda = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=on_cuda,
            worker_init_fn=leave_signals_to_parent,
        )
