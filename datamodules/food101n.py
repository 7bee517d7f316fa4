"""Food-101N (Lee et al., CVPR 2018, "CleanNet"): pictures of dishes found by web search.

Sources: the data set's page and loaders of label-noise projects. A verification label says whether
the class label is right; where it is wrong, the true class is unknown.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.listing import Files, Labelled, Listing
from datamodules.lists import other_counts, read_lines
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.picture_data import PictureDataModule

_CLASSES, _LIST = "classes.txt", "imagelist.tsv"
_TRAIN, _VAL = "verified_train.tsv", "verified_val.tsv"
_SIZES = {_LIST: 310_009, _TRAIN: 52_868, _VAL: 4_741}
_HEADER = "class_name"  # begins the first line of every list

_UNPACK = "unpack Food-101N_release.zip there, so that meta/ and images/ lie in it"
_UNPACK_TEST = "unpack food-101.tar.gz there, so that meta/ and images/ lie in it"


class Food101N(PictureDataModule):
    """Food-101N, tested on Food-101's test pictures.

    The probe set is drawn from the rows verified for training as right, unless also verified for
    validation. All other verified rows are noisy examples whose label is known to be right or
    wrong: they measure how well wrong labels are found. One picture has two rows, for two classes.

    Args:
        food101n_dir: folder with `meta/` and `images/`.
        food101_dir: folder of Food-101, with `meta/` and `images/`.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if a list is missing, or does not fit the others.
    """

    def __init__(self, *, food101n_dir: str | Path, food101_dir: str | Path, **rest: Any) -> None:
        self.food101n_dir, self.food101_dir = (
            Path(one).expanduser().absolute() for one in (food101n_dir, food101_dir)
        )
        super().__init__(**rest)

    def listing(self) -> Listing:
        """Read the lists."""
        names = tuple(self._read(_CLASSES))
        paths = self._read(_LIST)
        train, val = self._verified(_TRAIN), self._verified(_VAL)
        found = {_LIST: len(paths), _TRAIN: len(train), _VAL: len(val)}
        self.notes += other_counts(
            [(f"rows in {file}", found[file], size) for file, size in _SIZES.items()]
        )
        verified = train | val
        nowhere = sorted(verified.keys() - set(paths))
        if nowhere:
            self.notes.append(
                f"{len(nowhere):,} verified rows are not in {_LIST} and left out, such as "
                f"{nowhere[0]}"
            )
        given = _classes(paths, names, self.food101n_dir / "meta" / _LIST)
        right = np.array([verified.get(path, UNKNOWN) for path in paths], dtype=np.int64)
        may = np.array([path in train and path not in val for path in paths])
        true = np.select([right == 1, right == 0], [given, KNOWN_WRONG], UNKNOWN)
        files = Files(self.food101n_dir / "images", paths)
        return Listing(files, given, true, may & (right == 1), names)

    def tests(self, drawn: Manifest) -> Mapping[str, Labelled]:
        """Return Food-101's test pictures."""
        listed = self.food101_dir / "meta" / "test.txt"
        if not listed.is_file():
            raise ValueError(
                f"dataset.food101_dir={self.food101_dir} has no meta/test.txt: Food-101N is judged "
                f"on Food-101's test pictures; {_UNPACK_TEST}."
            )
        lines = read_lines(listed, _UNPACK_TEST)
        label = _classes(lines, self.class_names, listed)
        paths = [f"{line}.jpg" for line in lines]
        return {"test": Labelled(self.food101_dir / "images", paths, label)}

    def _read(self, name: str) -> list[str]:
        file = self.food101n_dir / "meta" / name
        if not file.is_file():
            raise ValueError(
                f"dataset.food101n_dir={self.food101n_dir} has no meta/{name}: {_UNPACK}."
            )
        lines = read_lines(file, _UNPACK)
        return lines[1:] if lines and lines[0].startswith(_HEADER) else lines

    def _verified(self, name: str) -> dict[str, int]:
        """Return class/key → 1 if the class is right, else 0."""
        verified = {}
        for line in self._read(name):
            path, _, said = line.partition("\t")
            if said not in ("0", "1"):
                raise ValueError(
                    f"{self.food101n_dir / 'meta' / name} has a line that is not `class/key`, a "
                    f"tab, and 0 or 1: {line[:80]!r}; {_UNPACK}."
                )
            verified[path] = int(said)
        return verified


def _classes(paths: list[str], names: tuple[str, ...], file: Path) -> Labels:
    """Return the number of the class that each path begins with."""
    number = {name: place for place, name in enumerate(names)}
    label = [number.get(path.partition("/")[0], -1) for path in paths]
    if -1 in label:
        raise ValueError(
            f"{file} has a line that begins with none of the {len(names)} classes in {_CLASSES}: "
            f"{paths[label.index(-1)][:80]!r}; put the official lists there."
        )
    return np.array(label, dtype=np.int64)
