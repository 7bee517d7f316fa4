"""ANIMAL-10N (Song et al., ICML 2019, "SELFIE"): five pairs of look-alikes, labelled by people.

Source: the data set's page. There are no lists: a picture's label is the first character of its
file name. Test pictures are those whose annotator agreed with the search word.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.imagenet import pictures_in
from datamodules.manifest import Manifest
from datamodules.official_lists import note_count_differences
from datamodules.picture_data import PictureDataModule
from datamodules.picture_lists import LabelledPaths, TrainingList
from datamodules.trusted import exclude_probe, join_trusted, read_probe_list

CLASS_NAMES = (
    "cat",
    "lynx",
    "wolf",
    "coyote",
    "cheetah",
    "jaguar",
    "chimpanzee",
    "orangutan",
    "hamster",
    "guinea pig",
)

_SIZES = {"training": 50_000, "testing": 5_000}


class Animal10N(PictureDataModule):
    """ANIMAL-10N, tested on its testing pictures.

    No training label is trusted, so the probe set is drawn from `probe_list` or, without one, from
    the testing pictures. Those in the probe set are not tested on; a note says so at every start.

    Args:
        animal10n_dir: folder with `training/` and `testing/`.
        probe_list: a table with `path` and `label` of trusted pictures, or None.
        rest: see `PictureDataModule`.

    Raises:
        ValueError: if pictures are missing, or a file name does not begin with a label.
    """

    def __init__(
        self, *, animal10n_dir: str | Path, probe_list: str | None = None, **rest: Any
    ) -> None:
        self.animal10n_dir = Path(animal10n_dir).expanduser().absolute()
        self.probe_list = probe_list
        super().__init__(**rest)

    def read_training_list(self) -> TrainingList:
        """List the folders; candidates for the probe set come after the noisy pictures."""
        training, self._testing = (self._pictures(part) for part in _SIZES)
        parts = (training, self._testing)
        self.notes += note_count_differences(
            [
                (f"{part} pictures", len(pictures.paths), size)
                for (part, size), pictures in zip(_SIZES.items(), parts, strict=True)
            ]
        )
        trusted = self._testing
        if self.probe_list is not None:
            trusted = read_probe_list(self.probe_list, CLASS_NAMES)
        return join_trusted(training, trusted, CLASS_NAMES)

    def read_test_lists(self, manifest: Manifest) -> Mapping[str, LabelledPaths]:
        """Return the testing pictures that are not in the probe set."""
        untaken = exclude_probe(self._testing, self.training_list, manifest, "testing pictures")
        self.whole_test_list = self._testing
        num_taken = len(self._testing.label) - len(untaken.label)
        if num_taken:
            reason = (
                "" if self.probe_list else "no training label is trusted (dataset.probe_list), so "
            )
            self.notes.append(
                f"NOTE: {reason}{num_taken:,} of the testing pictures are the probe, and the other "
                f"{len(untaken.label):,} are tested on"
            )
        return {"test": untaken}

    def _pictures(self, part: str) -> LabelledPaths:
        folder = self.animal10n_dir / part
        names = pictures_in(folder) if folder.is_dir() else []
        if not names:
            raise ValueError(
                f"dataset.animal10n_dir={self.animal10n_dir} has no pictures in {part}/: ask for "
                "ANIMAL-10N on its page, and unpack training/ and testing/ there."
            )
        wrong = [name for name in names if not re.match("[0-9]_", name)]
        if wrong:
            raise ValueError(
                f"{folder} has {len(wrong):,} pictures whose name does not begin with a label from "
                f"0 to 9 and _, such as {wrong[0]}: put those of the download there."
            )
        label = np.array([int(name[0]) for name in names], dtype=np.int64)
        return LabelledPaths(self.animal10n_dir, [f"{part}/{name}" for name in names], label)
