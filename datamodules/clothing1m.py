"""Clothing1M (Xiao et al., CVPR 2015): clothes from online shops, labelled by the text around them.

Sources: the data set's README and loaders of label-noise projects. The official noisy list has none
of the 37,497 pictures that have both a noisy and a clean label.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.batch import UNKNOWN
from datamodules.bounds import switch
from datamodules.listing import Labelled, Listing
from datamodules.lists import other_counts, read_classes, read_lines
from datamodules.manifest import Manifest
from datamodules.picture_data import PictureDataModule
from datamodules.trusted import joined

_NAMES, _NOISY, _CLEAN = "category_names_eng.txt", "noisy_label_kv.txt", "clean_label_kv.txt"
_LISTS = {
    "noisy_train": ("noisy_train_key_list.txt", 1_000_000),
    "clean_train": ("clean_train_key_list.txt", 47_570),
    "clean_val": ("clean_val_key_list.txt", 14_313),
    "clean_test": ("clean_test_key_list.txt", 10_526),
}
_FOLDERS = ("noisy_train", "clean_train")
_PUT = (
    "put the download's lists there or into annotations/ (*_key_list.txt, *_label_kv.txt, "
    f"{_NAMES}), and the pictures into images/0/ to images/9/"
)


class Clothing1M(PictureDataModule):
    """Clothing1M's noisy pictures, tested on clean_test (`test`) and clean_val (`val`).

    The probe set is drawn from clean_train. Clean labels of noisy pictures only measure how well
    wrong labels are found.

    Args:
        clothing1m_dir: folder with the lists or `annotations/`, and with `images/` or its contents.
        twice_labelled: whether pictures of clean_train that also have a noisy label are noisy
            examples, unless the probe set takes them.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if a list is missing, or does not fit the others.
    """

    def __init__(
        self, *, clothing1m_dir: str | Path, twice_labelled: bool = True, **rest: Any
    ) -> None:
        self.clothing1m_dir = Path(clothing1m_dir).expanduser().absolute()
        switch("dataset.twice_labelled", twice_labelled)
        self.twice_labelled = twice_labelled
        super().__init__(**rest)

    def listing(self) -> Listing:
        """Read the lists; noisy pictures come first."""
        names = tuple(read_lines(self._find(_NAMES), _PUT))
        keys = {part: read_lines(self._find(file), _PUT) for part, (file, _) in _LISTS.items()}
        self.notes += other_counts(
            [
                (f"pictures in {part}", len(keys[part]), official)
                for part, (_, official) in _LISTS.items()
            ]
        )
        noisy, clean = (self._labels(file, len(names)) for file in (_NOISY, _CLEAN))
        self._clean = {
            part: self._labelled(keys[part], clean, _CLEAN)
            for part in ("clean_train", "clean_val", "clean_test")
        }
        listed = keys["noisy_train"]
        self._official = len(listed)
        if self.twice_labelled:
            listed = listed + _twice(keys["clean_train"], listed, noisy)
        self._note_tested(listed, keys)
        true = [clean.get(key, UNKNOWN) for key in listed]
        return joined(
            self._labelled(listed, noisy, _NOISY),
            self._clean["clean_train"],
            names,
            np.array(true, dtype=np.int64),
        )

    def tests(self, drawn: Manifest) -> Mapping[str, Labelled]:
        """Return clean_test and clean_val."""
        more = int((drawn.train_rows >= self._official).sum())
        if more:
            self.notes.append(
                f"{more:,} noisy examples are clean_train's that have a noisy label too, and are "
                "not in the noisy list (dataset.twice_labelled)"
            )
        return {
            "test": self._clean["clean_test"],
            "val": self._clean["clean_val"],
        }

    def _find(self, name: str) -> Path:
        """Return the path of a list."""
        root = self.clothing1m_dir
        for place in (root / name, root / "annotations" / name):
            if place.is_file():
                return place
        has_folders = any((root / name).is_dir() for name in _FOLDERS)
        but = ", and folders such as clean_train/ alone are not read" if has_folders else ""
        raise ValueError(f"dataset.clothing1m_dir={root} has no {name}{but}: {_PUT}.")

    def _labels(self, name: str, num_classes: int) -> dict[str, int]:
        paths, label = read_classes(self._find(name), _PUT, num_classes)
        return dict(zip(paths, label.tolist(), strict=True))

    def _labelled(self, keys: list[str], labels: Mapping[str, int], name: str) -> Labelled:
        unknown = [key for key in keys if key not in labels]
        if unknown:
            raise ValueError(
                f"{self._find(name)} has no label of {len(unknown):,} pictures that the lists "
                f"name, such as {unknown[0]}: {_PUT}."
            )
        # in some copies the ten picture folders are beside the lists
        bare = not (self.clothing1m_dir / "images").is_dir()
        paths = [key.removeprefix("images/") for key in keys] if bare else keys
        label = np.array([labels[key] for key in keys], dtype=np.int64)
        return Labelled(self.clothing1m_dir, paths, label)

    def _note_tested(self, listed: list[str], keys: Mapping[str, list[str]]) -> None:
        both = set(listed) & {*keys["clean_val"], *keys["clean_test"]}
        if both:
            self.notes.append(
                f"NOTE: {len(both):,} pictures are in the noisy list and tested on, such as "
                f"{min(both)}; the official lists have none"
            )


def _twice(trusted: list[str], listed: list[str], noisy: Mapping[str, int]) -> list[str]:
    """Return the trusted pictures that have a noisy label and are not listed as noisy."""
    there = set(listed)
    return [key for key in trusted if key in noisy and key not in there]
