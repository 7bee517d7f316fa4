"""WebVision 1.0 (Li et al. 2017): pictures found by web search, in the official layout.

Lists, not folders, define the data set, because pictures of different queries share names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.config_checks import check_integer
from datamodules.imagenet import LAYOUTS, find_training, find_validation
from datamodules.manifest import Manifest
from datamodules.official_lists import note_count_differences, read_labelled_paths, read_lines
from datamodules.picture_data import PictureDataModule
from datamodules.picture_lists import LabelledPaths, TrainingList
from datamodules.trusted import exclude_probe, join_trusted, read_probe_list

# Training pictures of the first 50 classes in the official Google list.
MINI_CLASSES, MINI_SIZE = 50, 65_944

_ALL_CLASSES = 1000
_SYNSETS, _GOOGLE, _VAL = "synsets.txt", "train_filelist_google.txt", "val_filelist.txt"
_UNPACK = "unpack info.tar of WebVision 1.0"


class WebVision(PictureDataModule):
    """The Google part of WebVision, tested on ImageNet's validation pictures.

    `test` is ImageNet's validation set and `val` WebVision's own; if ImageNet is missing,
    WebVision's is `test`. WebVision has no trusted labels, so the probe set is drawn from
    `probe_list`, else from ImageNet's training pictures, else from WebVision's validation pictures.
    Pictures in the probe set are not tested on.

    Args:
        first_classes: how many of the 1,000 classes to use, from the first one.
        webvision_dir: folder with `info/`, `google/` and `val_images_256/`.
        imagenet_dir: folder with `val/` and perhaps `train/`, see `imagenet`.
        probe_list: a table with `path` and `label` of trusted pictures, or None.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if a list is missing, or does not fit the others.
    """

    def __init__(
        self,
        *,
        first_classes: int,
        webvision_dir: str | Path,
        imagenet_dir: str | Path,
        probe_list: str | None = None,
        **rest: Any,
    ) -> None:
        check_integer("dataset.first_classes", first_classes, 2)
        self.first_classes = first_classes
        self.webvision_dir, self.imagenet_dir = (
            Path(folder).expanduser().absolute() for folder in (webvision_dir, imagenet_dir)
        )
        self.probe_list = probe_list
        super().__init__(**rest)

    def read_training_list(self) -> TrainingList:
        """Read the lists; candidates for the probe set come after the noisy pictures."""
        info = self.webvision_dir / "info"
        if not (info / _GOOGLE).is_file():
            raise ValueError(
                f"dataset.webvision_dir={self.webvision_dir} has no info/{_GOOGLE}: unpack "
                "WebVision 1.0's info.tar, google_resized_256.tar and val_images_256.tar there."
            )
        synsets = read_lines(info / _SYNSETS, _UNPACK)
        if self.first_classes > len(synsets):
            raise ValueError(
                f"dataset.first_classes={self.first_classes} of the {len(synsets):,} classes in "
                f"{info / _SYNSETS}: give 2 to {len(synsets)}."
            )
        synsets = synsets[: self.first_classes]
        self._wordnet = [line.split(" ", 1)[0] for line in synsets]
        names = tuple(line.split(" ", 1)[-1].split(",")[0].strip() for line in synsets)
        noisy = self._read_list(_GOOGLE, self.webvision_dir)
        if self.first_classes == MINI_CLASSES:
            self.notes += note_count_differences(
                [("training pictures", len(noisy.paths), MINI_SIZE)]
            )
        self._val = self._read_list(_VAL, self.webvision_dir / "val_images_256")
        self._imagenet = find_validation(self.imagenet_dir, self._wordnet)
        return join_trusted(noisy, self._probe_candidates(), _distinct_names(names, self._wordnet))

    def _read_list(self, name: str, root: Path) -> LabelledPaths:
        """Read the rows of an official list that are of the first classes."""
        paths, label = read_labelled_paths(
            self.webvision_dir / "info" / name, _UNPACK, _ALL_CLASSES
        )
        first = np.flatnonzero(label < self.first_classes)
        return LabelledPaths(root, [paths[row] for row in first.tolist()], label[first])

    def _probe_candidates(self) -> LabelledPaths:
        """Return the pictures that the probe set may be drawn from."""
        self._probe_from_val = False
        if self.probe_list is not None:
            return read_probe_list(self.probe_list, self._wordnet)
        training_pictures = find_training(self.imagenet_dir, self._wordnet)
        if training_pictures is not None:
            return training_pictures
        self._probe_from_val = True
        return self._val

    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return ImageNet's validation pictures, if they are there, and WebVision's."""
        self.whole_test_list = self._val if self._imagenet is None else self._imagenet
        val = exclude_probe(
            self._val, self.training_list, manifest, "of WebVision's validation pictures"
        )
        if self._probe_from_val and len(manifest.probe_rows):
            self.notes.append(
                f"NOTE: no trusted pictures were found (dataset.imagenet_dir={self.imagenet_dir} "
                f"has no train/<WordNet id>/, and there is no dataset.probe_list): the probe is "
                f"{len(manifest.probe_rows):,} of WebVision's validation pictures, and the other "
                f"{len(val.label):,} are tested on"
            )
        if self._imagenet is None:
            self.notes.append(
                f"NOTE: ImageNet's validation pictures are not in dataset.imagenet_dir="
                f"{self.imagenet_dir} ({LAYOUTS}): the test is {len(val.label):,} of WebVision's"
            )
            return {"test": val}
        test = exclude_probe(
            self._imagenet, self.training_list, manifest, "of ImageNet's validation pictures"
        )
        self.notes.append(
            f"test: {len(test.label):,} of ImageNet's validation pictures; val: {len(val.label):,} "
            "of WebVision's"
        )
        return {"test": test, "val": val}


def _distinct_names(names: tuple[str, ...], wordnet: list[str]) -> tuple[str, ...]:
    """Return class names, with the WordNet id where two are the same, as ImageNet's cranes are."""
    return tuple(
        f"{name} ({wordnet[index]})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    )
