"""CIFAR-10N and CIFAR-100N: CIFAR with labels that people gave (Wei et al., ICLR 2022).

The labels are read from the authors' files, `CIFAR-10_human.pt` and `CIFAR-100_human.pt`, without
executing code in them, or from an `.npz` file with the same arrays.
"""

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from datamodules.cifar import CIFAR10, CIFAR100
from datamodules.clean import Source
from datamodules.config_checks import check_one_of
from datamodules.manifest import Manifest
from datamodules.noise import Labels

_REMEDY = "get it from http://www.noisylabels.com (CC BY-NC 4.0) and put it into data_dir"


class CIFAR10N(CIFAR10):
    """CIFAR-10 with labels made from those of three annotators per image.

    Args:
        annotation: `aggre` (the majority), `random1`, `random2`, `random3` (one annotator each) or
            `worse` (a wrong label, if any annotator gave one).
        human_labels: the file; None: look for it in `data_dir`.
        rest: see `CleanDataModule`; no noise is drawn.

    Raises:
        ValueError: if a setting is impossible. The file is checked later, when it is read.
    """

    files: ClassVar[tuple[str, ...]] = ("CIFAR-10_human.pt", "cifar10n.npz")
    has_noisy_labels = True
    # our name → names in the .pt and in the .npz file
    annotations: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "aggre": ("aggre_label", "aggre"),
        "worse": ("worse_label", "worse"),
        "random1": ("random_label1", "random1"),
        "random2": ("random_label2", "random2"),
        "random3": ("random_label3", "random3"),
    }

    def __init__(self, *, annotation: str, human_labels: str | None = None, **rest: Any) -> None:
        check_one_of("dataset.annotation", annotation, list(self.annotations))
        self.annotation = annotation
        self.human_labels = human_labels
        super().__init__(**rest)

    def prepare_data(self) -> None:
        """As for CIFAR-10; the human labels are not downloaded.

        Raises:
            ValueError: if they or the images are missing or damaged.
        """
        read_label_arrays(self.file)
        super().prepare_data()

    @property
    def file(self) -> Path:
        """Where the human labels are, or should be."""
        if self.human_labels is not None:
            return Path(self.human_labels).expanduser().absolute()
        paths = [self.data_dir / name for name in self.files]
        return next((path for path in paths if path.is_file()), paths[0])

    def _make_manifest(self, source: Source) -> Manifest:
        if self.loaded_labels is None:
            self.loaded_labels = self._annotated_labels(
                read_label_arrays(self.file), source.train_label
            )
        return super()._make_manifest(source)

    def _annotated_labels(self, arrays: Mapping[str, Labels], true: Labels) -> Labels:
        def first_present(keys: tuple[str, ...]) -> Labels:
            for key in keys:
                if key in arrays:
                    return arrays[key]
            raise ValueError(
                f"{self.file} holds {', '.join(arrays)}, and not {keys[0]}: {_REMEDY}."
            )

        given, clean = (
            first_present(self.annotations[self.annotation]),
            first_present(("clean_label", "clean")),
        )
        if not np.array_equal(clean, true):
            raise ValueError(
                f"The clean labels in {self.file} are not those of the images in data_dir="
                f"{self.data_dir}: they are in another order, or of another data set."
            )
        if given.shape != true.shape or given.min() < 0 or given.max() >= self.num_classes:
            raise ValueError(f"{self.file} has labels that are no classes: {_REMEDY}.")
        return given


class CIFAR100N(CIFAR100, CIFAR10N):
    """CIFAR-100 with one annotator's label per image, for the fine classes."""

    files = ("CIFAR-100_human.pt", "cifar100n.npz")
    annotations: ClassVar[Mapping[str, tuple[str, ...]]] = {"fine": ("noisy_label", "noisy_fine")}


# What unpickling the authors' files needs: NumPy arrays, under their old and new module paths.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_SAFE_GLOBALS: list[Any] = [
    np.ndarray,
    np.dtype,
    np.dtypes.Int64DType,
    np.dtypes.Int32DType,
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    (_RECONSTRUCT, "numpy._core.multiarray._reconstruct"),
    (codecs.encode, "_codecs.encode"),
]


def read_label_arrays(path: Path) -> dict[str, Labels]:
    """Return the integer arrays in a `.pt` or `.npz` file, without executing code in it.

    Raises:
        ValueError: if it is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise ValueError(
            f"There are no human labels at {path}: {_REMEDY}, or give dataset.human_labels=<file>."
        )
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                saved: Mapping[Any, Any] = dict(file)
        else:
            with torch.serialization.safe_globals(_SAFE_GLOBALS):
                saved = torch.load(path, map_location="cpu", weights_only=True)
        arrays = {str(name): np.asarray(array) for name, array in saved.items()}
    except Exception as error:  # unpickling raises many kinds
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} cannot be read as arrays of labels ({reason}): {_REMEDY}."
        ) from None
    return {
        name: array.astype(np.int64) for name, array in arrays.items() if array.dtype.kind in "iu"
    }
