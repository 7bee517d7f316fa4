"""Food-101N (Lee et al., CVPR 2018, "CleanNet"): pictures of dishes found by web search.

Sources: the data set's page and loaders of label-noise projects. A verification label says whether
the class label is right; where it is wrong, the true class is unknown.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.manifest import Manifest
from datamodules.noise import Labels
from datamodules.official_lists import note_count_differences, read_lines
from datamodules.picture_data import PictureDataModule
from datamodules.picture_lists import LabelledPaths, PicturePaths, TrainingList

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
            Path(folder).expanduser().absolute() for folder in (food101n_dir, food101_dir)
        )
        super().__init__(**rest)

    def read_training_list(self) -> TrainingList:
        """Read the lists."""
        names = tuple(self._read_list(_CLASSES))
        paths = self._read_list(_LIST)
        train, val = self._read_verified(_TRAIN), self._read_verified(_VAL)
        counts = {_LIST: len(paths), _TRAIN: len(train), _VAL: len(val)}
        self.notes += note_count_differences(
            [(f"rows in {file}", counts[file], size) for file, size in _SIZES.items()]
        )
        verified = train | val
        unlisted = sorted(verified.keys() - set(paths))
        if unlisted:
            self.notes.append(
                f"{len(unlisted):,} verified rows are not in {_LIST} and left out, such as "
                f"{unlisted[0]}"
            )
        given = _class_labels(paths, names, self.food101n_dir / "meta" / _LIST)
        is_right = np.array([verified.get(path, UNKNOWN) for path in paths], dtype=np.int64)
        may_be_probe = np.array([path in train and path not in val for path in paths])
        true = np.select([is_right == 1, is_right == 0], [given, KNOWN_WRONG], UNKNOWN)
        files = PicturePaths(self.food101n_dir / "images", paths)
        return TrainingList(files, given, true, may_be_probe & (is_right == 1), names)

    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return Food-101's test pictures."""
        test_file = self.food101_dir / "meta" / "test.txt"
        if not test_file.is_file():
            raise ValueError(
                f"dataset.food101_dir={self.food101_dir} has no meta/test.txt: Food-101N is judged "
                f"on Food-101's test pictures; {_UNPACK_TEST}."
            )
        lines = read_lines(test_file, _UNPACK_TEST)
        label = _class_labels(lines, self.class_names, test_file)
        paths = [f"{line}.jpg" for line in lines]
        return {"test": LabelledPaths(self.food101_dir / "images", paths, label)}

    def _read_list(self, name: str) -> list[str]:
        file = self.food101n_dir / "meta" / name
        if not file.is_file():
            raise ValueError(
                f"dataset.food101n_dir={self.food101n_dir} has no meta/{name}: {_UNPACK}."
            )
        lines = read_lines(file, _UNPACK)
        return lines[1:] if lines and lines[0].startswith(_HEADER) else lines

    def _read_verified(self, name: str) -> dict[str, int]:
        """Return class/key → 1 if the class is right, else 0."""
        verified = {}
        for line in self._read_list(name):
            path, _, flag = line.partition("\t")
            if flag not in ("0", "1"):
                raise ValueError(
                    f"{self.food101n_dir / 'meta' / name} has a line that is not `class/key`, a "
                    f"tab, and 0 or 1: {line[:80]!r}; {_UNPACK}."
                )
            verified[path] = int(flag)
        return verified


def _class_labels(paths: list[str], names: tuple[str, ...], file: Path) -> Labels:
    """Return the number of the class that each path begins with."""
    class_of = {name: index for index, name in enumerate(names)}
    label = [class_of.get(path.partition("/")[0], -1) for path in paths]
    if -1 in label:
        raise ValueError(
            f"{file} has a line that begins with none of the {len(names)} classes in {_CLASSES}: "
            f"{paths[label.index(-1)][:80]!r}; put the official lists there."
        )
    return np.array(label, dtype=np.int64)
