"""Pictures in files, with the labels they came with: web crawls, or the user's own folder."""

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.augment import Augment
from datamodules.base import NoisyLabelDataModule, TestSet, ViewMaker
from datamodules.config_checks import check_bool, check_integer, check_one_of
from datamodules.images import ArrayImages, Images
from datamodules.label_files import read_label_file
from datamodules.large_views import LargeViews
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.phrases import first_few
from datamodules.picture_lists import (
    LabelledPaths,
    PicturePaths,
    TrainingList,
    check_files_exist,
    portable_path,
)
from datamodules.pictures import PictureFiles
from datamodules.split import Candidates, Checked, Mask
from datamodules.whole_pictures import WholePictures, read_into_memory

VIEWS = ("windows", "whole")


class PictureDataModule(NoisyLabelDataModule):
    """Reads lists when it is constructed, and pictures when they are needed.

    Each data set is a subclass that implements `read_training_list` and `read_test_lists`.

    Args:
        name: what the data set is called in `dataset=`.
        data_dir: the folder of the data.
        noise: must be None: no noise is drawn.
        noise_model: must be None.
        imbalance: must be 1: class sizes are not changed.
        probe_per_class: trusted examples of each class; None: all that are trusted.
        labels: labels to train on instead of the data set's (see `read_label_file`), or None.
        image_size: side of the square that the network sees, in pixels.
        pictures: `windows`: loader workers decode pictures at every step, and training sees random
            windows (reference 1.10); `whole`, for small pictures: the centre square of each is
            read into memory once and augmented as CIFAR's images are.
        augment: kind of strong view.
        flip: whether views may be mirrored.
        pad: padding of the weak view's random crop of whole pictures, in pixels.
        rest: see `NoisyLabelDataModule`.

    Attributes:
        notes: messages for the user, one sentence each.
        probe_list: the user's own list of trusted pictures, where a data set takes one.
        whole_test_list: what the main test set is, where the probe set may be taken out of it.

    Raises:
        ValueError: if lists are missing or damaged, or a setting is impossible.
    """

    probe_list: str | None = None
    whole_test_list: LabelledPaths | None = None

    def __init__(
        self,
        *,
        name: str,
        data_dir: str | Path,
        noise: float | None,
        noise_model: str | None,
        imbalance: float,
        probe_per_class: int | None,
        image_size: int,
        pictures: str,
        augment: str,
        flip: bool,
        pad: int = 2,
        labels: str | None = None,
        **rest: Any,
    ) -> None:
        views: ViewMaker
        check_one_of("dataset.pictures", pictures, VIEWS)
        check_integer("dataset.image_size", image_size, 8)
        check_bool("dataset.flip", flip)
        if pictures == "windows":
            views = LargeViews(strong=augment)
        else:
            views = Augment(pad=pad, flip=flip, strong=augment)
        super().__init__(name=name, probe_per_class=probe_per_class, views=views, **rest)
        if (noise, noise_model, imbalance) != (None, None, 1):
            raise ValueError(
                f"noise={noise} noise_model={noise_model} imbalance={imbalance} cannot be drawn "
                f"for {name}, whose labels are as they are: leave them out."
            )
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.image_size = image_size
        self.pictures = pictures
        self.flip = flip
        self.notes: list[str] = []
        self.training_list = self.read_training_list()
        self.paths, self.class_names = (
            self.training_list.files.paths,
            self.training_list.class_names,
        )
        self.num_classes, self.train_size = len(self.class_names), len(self.training_list.given)
        self.drawn_manifest = self._draw_manifest(labels)
        self.num_train, self.num_probe = (
            len(self.drawn_manifest.train_rows),
            len(self.drawn_manifest.probe_rows),
        )
        if not self.num_train:
            why = ": all are trusted, which leaves no label to learn from; give probe_per_class="
            raise ValueError(
                f"{name} in data_dir={data_dir} has no picture to train on"
                f"{why if self.num_probe else ''}."
            )
        self._note_missing_classes()
        self._note_not_taken()
        self.test_lists = self.read_test_lists(self.drawn_manifest)
        self.test_names = tuple(self.test_lists)

    @abstractmethod
    def read_training_list(self) -> TrainingList:
        """Return the training list."""

    @abstractmethod
    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return the test sets, the main one first; they may depend on the probe set drawn."""

    def _draw_manifest(self, labels: str | None) -> Manifest:
        training_list, given = self.training_list, self.training_list.given
        if labels is not None:
            loaded_labels = read_label_file(labels, self.train_size, self.class_names)
            if isinstance(loaded_labels, Manifest):
                self._check_rows(loaded_labels, labels)
                self.probe_per_class = loaded_labels.settings["probe_per_class"]
                return self._with_trusted(loaded_labels)
            given = loaded_labels
        self._check_probe()
        settings = {
            "dataset": self.name,
            "seed": self.seed,
            "noise_model": "its own",
            "probe_per_class": self.probe_per_class,
            "list": training_list.hash,
            "rows": training_list.rows_hash,
        }
        candidates = Candidates(
            training_list.true, noisy=training_list.given >= 0, trusted=training_list.trusted
        )
        return Manifest.draw(
            candidates, lambda rows: given[rows], settings=settings, class_names=self.class_names
        )

    def _note_missing_classes(self) -> None:
        """Note classes without training examples, or without trusted ones if others have some."""
        untrained = np.setdiff1d(np.arange(self.num_classes), self.drawn_manifest.given)
        untrained = np.setdiff1d(untrained, self.drawn_manifest.probe_label)
        if len(untrained):
            self.notes.append(
                f"NOTE: {len(untrained)} of {self.num_classes} classes have no picture to train "
                f"on: {first_few([self.class_names[index] for index in untrained])}"
            )
        lacking = np.setdiff1d(np.arange(self.num_classes), self.drawn_manifest.probe_label)
        if self.num_probe and len(lacking):
            self.notes.append(
                f"NOTE: {len(lacking)} of {self.num_classes} classes have no trusted example: "
                f"{first_few([self.class_names[index] for index in lacking])}"
            )

    def _note_not_taken(self) -> None:
        """Note that the probe set does not take all that the user checked."""
        rows = self.checked().row
        left = len(np.setdiff1d(rows, self.drawn_manifest.probe_rows))
        if left:
            self.notes.append(
                f"the probe takes {len(rows) - left:,} of the {len(rows):,} training "
                f"pictures that you checked (probe_per_class={self.probe_per_class}): the others "
                "are trained on with the labels they came with, if any, and only measure how well "
                "wrong labels are found"
            )

    def _with_trusted(self, manifest: Manifest) -> Manifest:
        """Move rows trusted since then into the probe set, if it is to hold all trusted rows."""
        rows = np.setdiff1d(np.flatnonzero(self.training_list.trusted), manifest.probe_rows)
        if self.probe_per_class is not None or not len(rows):
            return manifest
        return manifest.with_checked(rows, self.training_list.true[rows])

    def _check_rows(self, manifest: Manifest, labels: str) -> None:
        """Raise an error if the rows are not the pictures that the labels were drawn for."""
        if (
            manifest.settings.get("rows", self.training_list.rows_hash)
            != self.training_list.rows_hash
        ):
            raise ValueError(
                f"labels={labels} says which label each row has, but the rows are other pictures "
                "now, or the classes other ones: give the very lists it was drawn with (what is "
                "trusted decides what is held out to test on), or where there is one, "
                "labels_cleaned.csv, which goes by name."
            )

    def _check_probe(self) -> None:
        wanted = self.probe_per_class
        if not wanted:
            return
        training_list = self.training_list
        count = np.bincount(training_list.true[training_list.trusted], minlength=self.num_classes)
        short = [
            f"{name} ({have})"
            for name, have in zip(self.class_names, count.tolist(), strict=True)
            if have < wanted
        ]
        if short:
            raise ValueError(
                f"probe_per_class={wanted} cannot be drawn: {len(short)} of {self.num_classes} "
                f"classes have fewer trusted examples: {first_few(short)}; give at most "
                f"{count.min()}, or trust more."
            )

    def read(self) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        """Check for the files; `pictures=whole` reads them into memory."""
        for name, test_list in self.test_lists.items():
            if not len(test_list.label):
                raise ValueError(
                    f"{self.name} in data_dir={self.data_dir} has no picture to test on ({name}): "
                    "give a test split with labels, or two pictures or more of each class."
                )
        return self._open_all(self._checked_images)

    def setup_lazily(self) -> None:
        """Like `setup`, but no picture is looked for or read before it is needed."""
        self._set_data(*self._open_all(lambda files, what: self._lazy_images(files)))

    def named_test_labels(self) -> tuple[Sequence[str], Labels]:
        """Return the paths and labels of the main test set.

        Pictures that are in the probe set are included, or each seed's would be another test set.
        """
        listed = self.whole_test_list or self.test_lists[self.test_names[0]]
        return [portable_path(path) for path in listed.paths], listed.label

    def original_labels(self, rows: Labels) -> Labels:
        """Return the labels that the lists give to training rows, -1 where they give none."""
        return self.training_list.given[rows]

    def unread(self, rows: Labels) -> Mask:
        """Return which rows of the training list are pictures that could not be read so far."""
        return self._unread(self.training_list.files, rows)

    def unread_tests(self, rows: Labels) -> Mask:
        """Return which rows of the main test set are pictures that could not be read so far."""
        return self._unread(self.test_lists[self.test_names[0]].files, rows)

    def _unread(self, files: PicturePaths, rows: Labels) -> Mask:
        noted, (root, paths) = self.unreadable.noted(), files
        if not noted:
            return np.zeros(len(rows), dtype=np.bool_)
        return np.array([os.fspath(Path(root, paths[row])) in noted for row in rows], dtype=bool)

    def checked(self) -> Checked:
        """Return the noisy pictures named by the user's own list; others may be tested on."""
        listed = self.training_list
        mine = listed.trusted & (listed.given >= 0) & (self.probe_list is not None)
        return Checked(np.flatnonzero(mine), listed.true[mine])

    def _open_all(
        self, images: Callable[[PicturePaths, str], Images]
    ) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        tests = {
            name: TestSet(images(test_list.files, name), test_list.label)
            for name, test_list in self.test_lists.items()
        }
        return images(self.training_list.files, "training"), self.drawn_manifest, tests

    def _checked_images(self, files: PicturePaths, description: str) -> Images:
        check_files_exist(files, description)
        pictures = self._lazy_images(files)
        return (
            ArrayImages(read_into_memory(pictures, description))
            if isinstance(pictures, WholePictures)
            else pictures
        )

    def _lazy_images(self, files: PicturePaths) -> PictureFiles:
        picture_class = WholePictures if self.pictures == "whole" else PictureFiles
        return picture_class(
            *files,
            side=self.image_size,
            seed=self.seed,
            flip=self.flip,
            unreadable=self.unreadable,
        )
