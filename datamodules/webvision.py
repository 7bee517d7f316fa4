"""WebVision 1.0 (Li et al. 2017): pictures found by searching the web, as they were downloaded.

The official lists say what there is; folders do not: pictures of different queries share names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.imagenet import LAYOUTS, Labelled, training, validation
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.picture_data import Files, Listing, PictureDataModule, Tested
from datamodules.split import Mask
from datamodules.tables import read_table

# Training pictures of the first 50 classes in the official Google list.
MINI_CLASSES, MINI_SIZE = 50, 65_944

_SYNSETS, _GOOGLE, _VAL = "synsets.txt", "train_filelist_google.txt", "val_filelist.txt"


class WebVision(PictureDataModule):
    """The Google part of WebVision, judged on ImageNet's validation pictures.

    `test` is ImageNet's validation set and `val` WebVision's own; where ImageNet is not there,
    WebVision's is `test`. WebVision has no trusted labels, so the probe comes from ImageNet's
    training pictures, from a list, or from WebVision's validation pictures, which are then left out
    of what is judged on; in this order, and said.

    Args:
        first_classes: how many of the 1,000 classes, in their order.
        webvision_dir: with `info/`, `google/` and `val_images_256/`.
        imagenet_dir: with `val/` and perhaps `train/`, see `imagenet`.
        probe_list: a table with `path` and `label` of trusted pictures, or None.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if a list is missing, or does not fit.
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
        self.first_classes = first_classes
        self.webvision_dir, self.imagenet_dir = (
            Path(one).expanduser().absolute() for one in (webvision_dir, imagenet_dir)
        )
        self.probe_list = probe_list
        super().__init__(**rest)

    def listing(self) -> Listing:
        """Read the lists; pictures for the probe come after the noisy ones."""
        info = self.webvision_dir / "info"
        if not (info / _GOOGLE).is_file():
            raise ValueError(
                f"dataset.webvision_dir={self.webvision_dir} has no info/{_GOOGLE}: unpack "
                "WebVision 1.0's info.tar, google_resized_256.tar and val_images_256.tar there."
            )
        synsets = (info / _SYNSETS).read_text(encoding="utf-8").splitlines()[: self.first_classes]
        self._wordnet = [line.split(" ", 1)[0] for line in synsets]
        names = tuple(line.split(" ", 1)[-1].split(",")[0].strip() for line in synsets)
        paths, given = read_list(info / _GOOGLE, self.first_classes)
        if self.first_classes == MINI_CLASSES and len(paths) != MINI_SIZE:
            self.notes.append(
                f"{_GOOGLE} lists {len(paths):,} pictures of the first {MINI_CLASSES} classes, and "
                f"the official one {MINI_SIZE:,}"
            )
        val_paths, val_label = read_list(info / _VAL, self.first_classes)
        self._val = Labelled(self.webvision_dir / "val_images_256", val_paths, val_label)
        self._imagenet = validation(self.imagenet_dir, self._wordnet)
        candidates = self._candidates()
        count, more = len(given), len(candidates.label)
        return Listing(
            Files(self.webvision_dir, [*paths, *_absolute(candidates)]),
            given=np.concatenate([given, np.full(more, -1)]),
            true=np.concatenate([np.full(count, -1), candidates.label]),
            trusted=np.arange(count + more) >= count,
            class_names=_distinct(names, self._wordnet),
        )

    def _candidates(self) -> Labelled:
        """Return the pictures that the probe may be drawn from."""
        self._from_val = False
        if self.probe_list is not None:
            return _listed(Path(self.probe_list).expanduser().absolute(), self._wordnet)
        found = training(self.imagenet_dir, self._wordnet)
        if found is not None:
            return found
        self._from_val = True
        return self._val

    def tests(self, drawn: Manifest) -> Mapping[str, Tested]:
        """Return ImageNet's validation pictures, if they are there, and WebVision's."""
        root, paths, label = self._val
        if self._from_val and len(drawn.probe_rows):
            first = self.train_size - len(label)
            kept: Mask = ~np.isin(np.arange(len(label)) + first, drawn.probe_rows)
            paths = [path for path, keep in zip(paths, kept, strict=True) if keep]
            label = label[kept]
            self.notes.append(
                f"NOTE: no trusted pictures were found (dataset.imagenet_dir={self.imagenet_dir} "
                f"has no train/<WordNet id>/, and there is no dataset.probe_list): the probe is "
                f"{len(drawn.probe_rows):,} of WebVision's validation pictures, which the other "
                f"{len(label):,} do not test"
            )
        val = Tested(Files(root, paths), label)
        if self._imagenet is None:
            self.notes.append(
                f"NOTE: ImageNet's validation pictures are not in dataset.imagenet_dir="
                f"{self.imagenet_dir} ({LAYOUTS}): the test is WebVision's own validation set"
            )
            return {"test": val}
        self.notes.append(
            f"test: {len(self._imagenet.label):,} of ImageNet's validation pictures; val: "
            f"{len(label):,} of WebVision's"
        )
        where = Files(self._imagenet.root, self._imagenet.paths)
        return {"test": Tested(where, self._imagenet.label), "val": val}


def read_list(file: Path, first_classes: int) -> tuple[list[str], Labels]:
    """Read lines `path class` of a WebVision list, those of the first classes.

    Raises:
        ValueError: if the file is missing, or a line is not one.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}): unpack info.tar.") from None
    paths, label = [], []
    for number, line in enumerate(lines, start=1):
        path, _, said = line.rstrip().rpartition(" ")
        if not path or not said.isdigit():
            if not line.strip():
                continue
            raise ValueError(f"Line {number} of {file} is not `path class`: {line[:80]!r}.")
        if int(said) < first_classes:
            paths.append(path)
            label.append(int(said))
    return paths, np.array(label, dtype=np.int64)


def _listed(file: Path, wordnet: list[str]) -> Labelled:
    """Read a table of trusted pictures; classes by number or WordNet id, paths beside it."""
    number = {name: place for place, name in enumerate(wordnet)}
    number |= {str(place): place for place in range(len(wordnet))}
    table = read_table(file, "dataset.probe_list", ("path", "label"))
    unknown = [name for name in table["label"] if name not in number]
    if unknown:
        raise ValueError(
            f"dataset.probe_list={file} has the label {unknown[0]!r}: give class numbers from 0 to "
            f"{len(wordnet) - 1} or WordNet ids."
        )
    label = [number[name] for name in table["label"]]
    return Labelled(file.parent, table["path"], np.array(label, dtype=np.int64))


def _absolute(pictures: Labelled) -> list[str]:
    return [str(pictures.root / path) for path in pictures.paths]


def _distinct(names: tuple[str, ...], wordnet: list[str]) -> tuple[str, ...]:
    """Return names, with the WordNet id where two classes have the same, as ImageNet's cranes."""
    return tuple(
        f"{name} ({wordnet[place]})" if names.count(name) > 1 else name
        for place, name in enumerate(names)
    )
