"""From a data set's bytes to the batches of a step; a data set only says how it is read.

Test data select nothing: the validation loader *is* the test set, so that curves can be drawn, and
no method, schedule or checkpoint may depend on what it gives.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.arrays import LabelledImages
from datamodules.augment import Augment, normalise
from datamodules.augment_draws import WHOLE, Share
from datamodules.batch import Batch, Step, Views
from datamodules.noise import Labels, Transition, check_rate, flip, uniform
from datamodules.randomness import torch_generator
from datamodules.samplers import (
    Drawn,
    EndlessOrder,
    StepSampler,
    Stream,
    TrainingSteps,
    shard_batches,
)
from datamodules.split import Manifest, check_probe_per_class
from datamodules.workers import leave_signals_to_the_run


class Source(NamedTuple):
    """A data set as it lies on disk, with clean labels."""

    train_image: Tensor  # (N, 3, H, W) uint8
    train_label: Labels  # (N,)
    test_image: Tensor  # (M, 3, H, W) uint8
    test_label: Labels  # (M,)
    class_names: tuple[str, ...]


class NoisyLabelDataModule(LightningDataModule):
    """Draws a probe set and label noise once, and serves what a step of training needs.

    A data set subclasses it, states its facts and implements `read`. Everything up to `setup` works
    without reading a byte, so that a wrong setting is refused at once.

    Args:
        name: what the data set is called in `dataset=`.
        data_dir: where downloads lie and go.
        noise_model: one of `noise_models`.
        noise: nominal noise rate in [0, 1).
        probe_per_class: trusted examples of each class, taken out of the training set.
        batch_size: training batch over all devices.
        eval_batch_size: evaluation batch of each device.
        augment: kind of the strong view.
        pad: pixels of padding of the weak view's random crop.
        flip: whether views may be mirrored.
        seed: what every draw derives from.
        num_workers: loader processes of each device.

    Raises:
        ValueError: if a setting is impossible for this data set.
    """

    num_classes: ClassVar[int]
    train_size: ClassVar[int]  # training examples, before the probe is taken out
    smallest_class: ClassVar[int]  # training examples of the smallest class
    flips: ClassVar[Mapping[int, int]]  # true class -> given class, under asymmetric noise
    noise_models: ClassVar[tuple[str, ...]] = ("uniform", "asymmetric")

    name: str
    manifest: Manifest
    train_set: LabelledImages
    probe_set: LabelledImages
    test_set: LabelledImages

    def __init__(
        self,
        *,
        name: str,
        data_dir: str | Path,
        noise_model: str,
        noise: float,
        probe_per_class: int,
        batch_size: int,
        eval_batch_size: int,
        augment: str,
        pad: int,
        flip: bool,
        seed: int,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        check_rate(noise)
        check_probe_per_class(probe_per_class, self.smallest_class)
        if noise_model not in self.noise_models:
            raise ValueError(
                f"noise_model={noise_model} is unknown to {name}: give one of "
                f"{', '.join(self.noise_models)}."
            )
        for key, size in {"batch_size": batch_size, "eval_batch_size": eval_batch_size}.items():
            if size < 1:
                raise ValueError(f"{key}={size} is not a batch: give 1 or more.")
        self.name = name
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.noise_model = noise_model
        self.noise = noise
        self.probe_per_class = probe_per_class
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.augment = Augment(pad=pad, flip=flip, strong=augment)
        self.seed = seed
        self.num_workers = num_workers

    @abstractmethod
    def read(self) -> Source:
        """Return the whole data set with its clean labels."""

    def transition(self) -> Transition:
        """Return T, (C, C), of the noise that is drawn."""
        if self.noise_model == "uniform":
            return uniform(self.num_classes, self.noise)
        return flip(self.num_classes, self.noise, self.flips)

    @property
    def num_probe(self) -> int:
        """Trusted examples."""
        return self.probe_per_class * self.num_classes

    @property
    def num_train(self) -> int:
        """Noisy examples."""
        return self.train_size - self.num_probe

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the noisy training set, at least 1."""
        return max(1, self.num_train // self.batch_size)

    @property
    def is_read(self) -> bool:
        """Whether `setup` has read the data."""
        return hasattr(self, "manifest")

    def setup(self, stage: str | None = None) -> None:
        """Read the data and draw probe and noise; the second call does nothing."""
        if self.is_read:
            return
        source = self.read()
        drawn = Manifest.draw(
            source.train_label,
            self.transition(),
            dataset=self.name,
            seed=self.seed,
            noise_model=self.noise_model,
            noise=self.noise,
            probe_per_class=self.probe_per_class,
            class_names=source.class_names,
        )
        trusted, test = drawn.probe_label, source.test_label
        self.train_set = _take(source.train_image, drawn.train_rows, drawn.given, drawn.clean)
        self.probe_set = _take(source.train_image, drawn.probe_rows, trusted, trusted)
        self.test_set = _take(source.test_image, np.arange(len(test)), test, test)
        self.manifest = drawn

    def train_dataloader(self) -> DataLoader[Drawn]:
        """Return an endless loader of steps, beginning with the trainer's next one."""
        trainer = self.trainer
        wants_probe = trainer is None or trainer.lightning_module.uses_probe
        train = self._stream(self.train_set, "train order", shuffle=True)
        probe = self._stream(self.probe_set, "probe order", shuffle=False)
        steps = TrainingSteps(train, probe if self.num_probe and wants_probe else None)
        return self._loader(steps, StepSampler(lambda: trainer.global_step if trainer else 0))

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the test set, for the curves; nothing may be selected by it."""
        return self.test_dataloader()

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return this rank's share of the test set, each example once over all ranks."""
        rows = shard_batches(len(self.test_set), self.eval_batch_size, *self._share)
        return self._loader(self.test_set, rows)

    def on_after_batch_transfer(self, batch: Drawn | Batch, dataloader_idx: int) -> Step | Views:
        """Draw the views of a step on the batch's device; evaluation sees plain images.

        Every draw is a function of (seed, step) and of the example's place in the global batch,
        whatever the number of ranks. Weak views come first, so that they are the same whether or
        not a method asks for strong ones.
        """
        if isinstance(batch, Batch):
            return Views(weak=normalise(batch.image), strong=None, label=batch.clean_label)
        trainer = self.trainer
        assert trainer is not None  # who else would transfer a batch
        step, share = trainer.global_step, self._share
        draws = torch_generator(self.seed, "train views", step)
        weak = self.augment.weak(batch.train.image, draws, share)
        wants_strong = trainer.lightning_module.uses_strong_view
        strong = self.augment.strong(weak, draws, share) if wants_strong else None
        probe = None
        if batch.probe is not None:
            draws = torch_generator(self.seed, "probe views", step)
            weak_probe = self.augment.weak(batch.probe.image, draws, share)
            probe = Views(weak_probe, None, batch.probe.label)
        return Step(Views(weak, strong, batch.train.label), probe, batch.train)

    @property
    def _share(self) -> Share:
        trainer = self.trainer
        return Share(trainer.global_rank, trainer.world_size) if trainer else WHOLE

    def _stream(self, examples: LabelledImages, purpose: str, *, shuffle: bool) -> Stream:
        rank, world_size = self._share
        order = EndlessOrder(
            len(examples),
            self.batch_size,
            seed=self.seed,
            purpose=purpose,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
        )
        return Stream(examples, order)

    def _loader(self, dataset: Dataset[Any], sampler: Iterable[Any]) -> DataLoader[Any]:
        on_cuda = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=on_cuda,
            worker_init_fn=leave_signals_to_the_run,
        )


def _take(image: Tensor, rows: Labels, given: Labels, clean: Labels) -> LabelledImages:
    index = torch.from_numpy(rows)
    return LabelledImages(image[index], torch.from_numpy(given), torch.from_numpy(clean), index)
