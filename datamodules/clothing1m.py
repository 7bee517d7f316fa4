"""Clothing1M (Xiao et al., CVPR 2015): clothes from online shops, labelled by the text around them.

Sources: the data set's README and loaders of label-noise projects. The official noisy list has none
of the 37,497 pictures that have both a noisy and a clean label.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.batch import UNKNOWN
from datamodules.config_checks import check_bool
from datamodules.manifest import Manifest
from datamodules.official_lists import note_count_differences, read_labelled_paths, read_lines
from datamodules.picture_data import PictureDataModule
from datamodules.picture_lists import LabelledPaths, TrainingList
from datamodules.trusted import join_trusted

_CLASS_NAMES, _NOISY, _CLEAN = "category_names_eng.txt", "noisy_label_kv.txt", "clean_label_kv.txt"
_LISTS = {
    "noisy_train": ("noisy_train_key_list.txt", 1_000_000),
    "clean_train": ("clean_train_key_list.txt", 47_570),
    "clean_val": ("clean_val_key_list.txt", 14_313),
    "clean_test": ("clean_test_key_list.txt", 10_526),
}
_FOLDERS = ("noisy_train", "clean_train")
_REMEDY = (
    "put the download's lists there or into annotations/ (*_key_list.txt, *_label_kv.txt, "
    f"{_CLASS_NAMES}), and the pictures into images/0/ to images/9/"
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
        check_bool("dataset.twice_labelled", twice_labelled)
        self.twice_labelled = twice_labelled
        super().__init__(**rest)

    def read_training_list(self) -> TrainingList:
        """Read the lists; noisy pictures come first."""
        names = tuple(read_lines(self._find_list(_CLASS_NAMES), _REMEDY))
        keys = {
            part: read_lines(self._find_list(file), _REMEDY) for part, (file, _) in _LISTS.items()
        }
        self.notes += note_count_differences(
            [
                (f"pictures in {part}", len(keys[part]), official)
                for part, (_, official) in _LISTS.items()
            ]
        )
        noisy, clean = (self._read_labels(file, len(names)) for file in (_NOISY, _CLEAN))
        self._clean = {
            part: self._with_labels(keys[part], clean, _CLEAN)
            for part in ("clean_train", "clean_val", "clean_test")
        }
        noisy_keys = keys["noisy_train"]
        self._official_count = len(noisy_keys)
        if self.twice_labelled:
            noisy_keys = noisy_keys + _keys_with_both_labels(keys["clean_train"], noisy_keys, noisy)
        self._note_overlap_with_tests(noisy_keys, keys)
        true = [clean.get(key, UNKNOWN) for key in noisy_keys]
        return join_trusted(
            self._with_labels(noisy_keys, noisy, _NOISY),
            self._clean["clean_train"],
            names,
            np.array(true, dtype=np.int64),
        )

    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return clean_test and clean_val."""
        extra = int((manifest.train_rows >= self._official_count).sum())
        if extra:
            self.notes.append(
                f"{extra:,} noisy examples are clean_train's that have a noisy label too, and are "
                "not in the noisy list (dataset.twice_labelled)"
            )
        return {
            "test": self._clean["clean_test"],
            "val": self._clean["clean_val"],
        }

    def _find_list(self, name: str) -> Path:
        """Return the path of a list."""
        root = self.clothing1m_dir
        for path in (root / name, root / "annotations" / name):
            if path.is_file():
                return path
        has_folders = any((root / name).is_dir() for name in _FOLDERS)
        hint = ", and folders such as clean_train/ alone are not read" if has_folders else ""
        raise ValueError(f"dataset.clothing1m_dir={root} has no {name}{hint}: {_REMEDY}.")

    def _read_labels(self, name: str, num_classes: int) -> dict[str, int]:
        paths, label = read_labelled_paths(self._find_list(name), _REMEDY, num_classes)
        return dict(zip(paths, label.tolist(), strict=True))

    def _with_labels(self, keys: list[str], labels: Mapping[str, int], name: str) -> LabelledPaths:
        unknown = [key for key in keys if key not in labels]
        if unknown:
            raise ValueError(
                f"{self._find_list(name)} has no label of {len(unknown):,} pictures that the lists "
                f"name, such as {unknown[0]}: {_REMEDY}."
            )
        # in some copies the ten picture folders are beside the lists
        no_images_folder = not (self.clothing1m_dir / "images").is_dir()
        paths = [key.removeprefix("images/") for key in keys] if no_images_folder else keys
        label = np.array([labels[key] for key in keys], dtype=np.int64)
        return LabelledPaths(self.clothing1m_dir, paths, label)

    def _note_overlap_with_tests(
        self, noisy_keys: list[str], keys: Mapping[str, list[str]]
    ) -> None:
        overlap = set(noisy_keys) & {*keys["clean_val"], *keys["clean_test"]}
        if overlap:
            self.notes.append(
                f"NOTE: {len(overlap):,} pictures are in the noisy list and tested on, such as "
                f"{min(overlap)}; the official lists have none"
            )


def _keys_with_both_labels(
    trusted_keys: list[str], noisy_keys: list[str], noisy_label: Mapping[str, int]
) -> list[str]:
    """Return the trusted pictures that have a noisy label and are not listed as noisy."""
    listed = set(noisy_keys)
    return [key for key in trusted_keys if key in noisy_label and key not in listed]
