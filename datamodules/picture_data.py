"""Pictures in files, with the labels they came with: web crawls, or the user's own folder."""

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.augment import Augment
from datamodules.base import NoisyLabelDataModule, TestSet, ViewMaker
from datamodules.bounds import one_of, switch, whole
from datamodules.images import ArrayImages, Images
from datamodules.label_files import read_stated
from datamodules.large_views import LargeViews
from datamodules.listing import Files, Labelled, Listing, look_for
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.pictures import PictureFiles
from datamodules.split import Checked, Known, Mask
from datamodules.whole_pictures import WholePictures, read_whole
from datamodules.words import some

VIEWS = ("windows", "whole")


class PictureDataModule(NoisyLabelDataModule):
    """Reads lists when it is constructed, and pictures when they are needed.

    Each data set is a subclass that implements `listing` and `tests`.

    Args:
        name: what the data set is called in `dataset=`.
        data_dir: the folder of the data.
        noise: must be None: no noise is drawn.
        noise_model: must be None.
        imbalance: must be 1: class sizes are not changed.
        probe_per_class: trusted examples of each class; None: all that are trusted.
        labels: labels to train on instead of those of the data set (see `read_stated`), or None.
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

    Raises:
        ValueError: if lists are missing or damaged, or a setting is impossible.
    """

    probe_list: str | None = None

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
        one_of("dataset.pictures", pictures, VIEWS)
        whole("dataset.image_size", image_size, 8)
        switch("dataset.flip", flip)
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
        self.listed = self.listing()
        self.paths, self.class_names = self.listed.files.paths, self.listed.class_names
        self.num_classes, self.train_size = len(self.class_names), len(self.listed.given)
        self.drawn = self._draw(labels)
        self.num_train, self.num_probe = len(self.drawn.train_rows), len(self.drawn.probe_rows)
        if not self.num_train:
            why = ": all are trusted, which leaves no label to learn from; give probe_per_class="
            raise ValueError(
                f"{name} in data_dir={data_dir} has no picture to train on"
                f"{why if self.num_probe else ''}."
            )
        self._note_unspoken_for()
        self._note_not_taken()
        self.tested = self.tests(self.drawn)
        self.test_names = tuple(self.tested)

    @abstractmethod
    def listing(self) -> Listing:
        """Return the training list."""

    @abstractmethod
    def tests(self, drawn: Manifest) -> Mapping[str, Labelled]:
        """Return the test sets, the main one first; they may depend on the probe set drawn."""

    def _draw(self, labels: str | None) -> Manifest:
        listed, given = self.listed, self.listed.given
        if labels is not None:
            stated = read_stated(labels, self.train_size, self.class_names)
            if isinstance(stated, Manifest):
                self._check_rows(stated, labels)
                self.probe_per_class = stated.settings["probe_per_class"]
                return self._with_trusted(stated)
            given = stated
        self._check_probe()
        settings = {
            "dataset": self.name,
            "seed": self.seed,
            "noise_model": "its own",
            "probe_per_class": self.probe_per_class,
            "list": listed.hash,
            "rows": listed.rows_hash,
        }
        known = Known(listed.true, noisy=listed.given >= 0, trusted=listed.trusted)
        return Manifest.draw(
            known, lambda rows: given[rows], settings=settings, class_names=self.class_names
        )

    def _note_unspoken_for(self) -> None:
        """Note classes without training examples, or without trusted ones if others have some."""
        untrained = np.setdiff1d(np.arange(self.num_classes), self.drawn.given)
        untrained = np.setdiff1d(untrained, self.drawn.probe_label)
        if len(untrained):
            self.notes.append(
                f"NOTE: {len(untrained)} of {self.num_classes} classes have no picture to train "
                f"on: {some([self.class_names[one] for one in untrained])}"
            )
        lacking = np.setdiff1d(np.arange(self.num_classes), self.drawn.probe_label)
        if self.num_probe and len(lacking):
            self.notes.append(
                f"NOTE: {len(lacking)} of {self.num_classes} classes have no trusted example: "
                f"{some([self.class_names[one] for one in lacking])}"
            )

    def _note_not_taken(self) -> None:
        """Note that the probe does not take all that the user checked."""
        rows = self.checked().row
        left = len(np.setdiff1d(rows, self.drawn.probe_rows))
        if left:
            self.notes.append(
                f"the probe takes {len(rows) - left:,} of the {len(rows):,} training "
                f"pictures that you checked (probe_per_class={self.probe_per_class}): the others "
                "are trained on with the labels they came with, if any, and only measure how well "
                "wrong labels are found"
            )

    def _with_trusted(self, stated: Manifest) -> Manifest:
        """Move rows trusted since then into the probe set, if it is to hold all trusted rows."""
        rows = np.setdiff1d(np.flatnonzero(self.listed.trusted), stated.probe_rows)
        if self.probe_per_class is not None or not len(rows):
            return stated
        return stated.with_checked(rows, self.listed.true[rows])

    def _check_rows(self, stated: Manifest, labels: str) -> None:
        """Raise an error if the rows are not the pictures that the labels were drawn for."""
        if stated.settings.get("rows", self.listed.rows_hash) != self.listed.rows_hash:
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
        listed = self.listed
        count = np.bincount(listed.true[listed.trusted], minlength=self.num_classes)
        short = [
            f"{name} ({have})"
            for name, have in zip(self.class_names, count.tolist(), strict=True)
            if have < wanted
        ]
        if short:
            raise ValueError(
                f"probe_per_class={wanted} cannot be drawn: {len(short)} of {self.num_classes} "
                f"classes have fewer trusted examples: {some(short)}; give at most "
                f"{count.min()}, or trust more."
            )

    def read(self) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        """Check for the files; `pictures=whole` reads them into memory."""
        for name, one in self.tested.items():
            if not len(one.label):
                raise ValueError(
                    f"{self.name} in data_dir={self.data_dir} has no picture to test on ({name}): "
                    "give a test split with labels, or two pictures or more of each class."
                )
        return self._opened(self._images)

    def lay_out(self) -> None:
        """Like `setup`, but no picture is looked for or read before it is needed."""
        self._hold(*self._opened(lambda files, what: self._unread(files)))

    def came_with(self, rows: Labels) -> Labels:
        """Return the labels that the lists give to training rows, -1 where they give none."""
        return self.listed.given[rows]

    def unread(self, rows: Labels) -> Mask:
        """Return which rows of the training list are pictures that could not be read so far."""
        noted, (root, paths) = self.unreadable.noted(), self.listed.files
        if not noted:
            return super().unread(rows)
        return np.array([os.fspath(Path(root, paths[row])) in noted for row in rows], dtype=bool)

    def checked(self) -> Checked:
        """Return the noisy pictures that the user's own list names; others may be tested on."""
        mine = self.listed.trusted & (self.listed.given >= 0) & (self.probe_list is not None)
        return Checked(np.flatnonzero(mine), self.listed.true[mine])

    def _opened(
        self, images: Callable[[Files, str], Images]
    ) -> tuple[Images, Manifest, Mapping[str, TestSet]]:
        tests = {
            name: TestSet(images(one.files, name), one.label) for name, one in self.tested.items()
        }
        return images(self.listed.files, "training"), self.drawn, tests

    def _images(self, files: Files, what: str) -> Images:
        look_for(files, what)
        made = self._unread(files)
        return ArrayImages(read_whole(made, what)) if isinstance(made, WholePictures) else made

    def _unread(self, files: Files) -> PictureFiles:
        kind = WholePictures if self.pictures == "whole" else PictureFiles
        return kind(
            *files,
            side=self.image_size,
            seed=self.seed,
            flip=self.flip,
            unreadable=self.unreadable,
        )
