"""Find ImageNet's validation and training pictures, in any of the usual layouts.

Classes are named by WordNet ids, such as n01440764, and numbered in the order of these, as in
torchvision, TFDS and WebVision. The layouts are those of ILSVRC-2012 and of label-noise projects.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from datamodules.official_lists import read_lines
from datamodules.picture_lists import LabelledPaths

JPEG_PNG_SUFFIXES = (".jpeg", ".jpg", ".png")

_KAGGLE = "LOC_val_solution.csv"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LISTS = ("imagenet_val.txt", "val.txt", "val_list.txt", "val_labels.txt")

LAYOUTS = (
    "val/<WordNet id>/, val/<class number>/, a flat val/ with imagenet_val.txt (lines `name class`)"
    f" or {_KAGGLE}, or with the devkit ({_TRUTH} and meta.mat)"
)


def find_validation(folder: Path, wordnet: Sequence[str]) -> LabelledPaths | None:
    """Find the validation pictures of some classes.

    Args:
        folder: the folder that contains `val/`, or the `val` folder itself.
        wordnet: WordNet id of each class, in order; pictures of other classes are left out.

    Returns:
        The pictures, or None if there are none in any known layout.

    Raises:
        ValueError: if a list does not fit the pictures.
    """
    for val in (folder / "val", folder / "ILSVRC2012_img_val", folder):
        if not val.is_dir():
            continue
        pictures = read_class_folders(val, wordnet) or _read_flat_folder(val, folder, wordnet)
        if pictures is not None:
            return pictures
    return None


def find_training(folder: Path, wordnet: Sequence[str]) -> LabelledPaths | None:
    """Find the training pictures of some classes: `train/<WordNet id>/`; None if there are none.

    `folder` itself is not searched: class folders there count as validation pictures.

    Raises:
        ValueError: if some classes are missing.
    """
    for train in (folder / "train", folder / "ILSVRC2012_img_train"):
        if any((train / name).is_dir() for name in wordnet):
            return read_class_folders(train, wordnet)
    return None


def read_class_folders(folder: Path, wordnet: Sequence[str]) -> LabelledPaths | None:
    """Read class folders, named by WordNet id or by class number; None if there are none.

    Raises:
        ValueError: if a class has no folder, or no pictures in it.
    """
    subfolders = {path.name for path in folder.iterdir() if path.is_dir()}
    numbers = [str(number) for number in range(len(wordnet))]
    names = next((names for names in (wordnet, numbers) if subfolders & set(names)), None)
    if names is None:
        return None
    files = [pictures_in(folder / name) if name in subfolders else [] for name in names]
    missing = [
        name for name, files_of_class in zip(names, files, strict=True) if not files_of_class
    ]
    if missing:
        raise ValueError(
            f"{folder} has no pictures in {missing[0]}/ ({len(missing)} of {len(names)} classes "
            "have none): put those of all classes there."
        )
    paths = [
        f"{name}/{file}"
        for name, files_of_class in zip(names, files, strict=True)
        for file in files_of_class
    ]
    label = np.repeat(np.arange(len(names)), [len(files_of_class) for files_of_class in files])
    return LabelledPaths(folder, paths, label)


def _read_flat_folder(val: Path, folder: Path, wordnet: Sequence[str]) -> LabelledPaths | None:
    paths = pictures_in(val)
    if not paths:
        return None
    class_of = {name: index for index, name in enumerate(wordnet)}
    readers: dict[str, Callable[[Path], Mapping[str, int]]] = {
        _KAGGLE: lambda file: _read_kaggle(file, class_of),
        _TRUTH: lambda file: _read_devkit(file, paths, class_of),
        **{name: lambda file: _read_list(file, class_of) for name in _LISTS},
    }
    list_folders = (folder, val, folder.parent)
    for name, reader in readers.items():
        for list_folder in list_folders:
            # the devkit is in its own folder
            for file in (list_folder / name, *sorted(list_folder.glob(f"*devkit*/data/{name}"))):
                if file.is_file():
                    return _match_labels(val, paths, reader(file), file)
    raise ValueError(
        f"{val} holds {len(paths):,} pictures, but nothing says their classes: put one of "
        f"{_KAGGLE}, {_LISTS[0]} or the devkit in {folder}."
    )


def _match_labels(
    val: Path, paths: list[str], class_by_stem: Mapping[str, int], file: Path
) -> LabelledPaths:
    unknown = [path for path in paths if Path(path).stem not in class_by_stem]
    if unknown:
        raise ValueError(
            f"{file} says nothing of {len(unknown):,} of the {len(paths):,} pictures in {val}, the "
            f"first is {unknown[0]}: put the list there that belongs to them."
        )
    chosen = [path for path in paths if class_by_stem[Path(path).stem] >= 0]
    if not chosen:
        raise ValueError(
            f"{file} names no picture in {val} of the classes wanted: put another there."
        )
    label = [class_by_stem[Path(path).stem] for path in chosen]
    return LabelledPaths(val, chosen, np.array(label, dtype=np.int64))


def _read_list(file: Path, class_of: Mapping[str, int]) -> dict[str, int]:
    """Read lines `name class`, with the class as number or WordNet id; -1 if it is not wanted."""
    class_by_stem = {}
    for line in read_lines(file, "put another copy there"):
        name, _, class_text = line.replace(",", " ").rpartition(" ")
        class_index = class_of.get(class_text, int(class_text) if class_text.isdigit() else -1)
        class_by_stem[Path(name).stem] = class_index if class_index < len(class_of) else -1
    return class_by_stem


def _read_kaggle(file: Path, class_of: Mapping[str, int]) -> dict[str, int]:
    """Read Kaggle's `ImageId,PredictionString`, the latter beginning with a WordNet id."""
    rows = list(csv.DictReader(read_lines(file, "put another copy there")))
    try:
        return {
            row["ImageId"]: class_of.get(row["PredictionString"].split()[0], -1) for row in rows
        }
    except (KeyError, AttributeError, IndexError):
        raise ValueError(
            f"{file} is not Kaggle's: it has a line without ImageId and PredictionString."
        ) from None


def _read_devkit(file: Path, paths: Sequence[str], class_of: Mapping[str, int]) -> dict[str, int]:
    """Read an ILSVRC id per line, in order of picture names; `meta.mat` has their WordNet ids."""
    from scipy.io import loadmat

    truth = read_lines(file, "put another copy there")
    if len(truth) != len(paths):
        raise ValueError(
            f"{file} is of {len(truth):,} pictures, and there are {len(paths):,}: put all of the "
            "validation pictures there."
        )
    try:
        meta = loadmat(file.parent / "meta.mat", squeeze_me=True)["synsets"]
        wordnet = {str(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in meta}
        wordnet_ids = [wordnet[ilsvrc_id] for ilsvrc_id in truth]
    except Exception as error:  # damaged data raise many kinds, and all of them mean this
        raise ValueError(
            f"{file.parent / 'meta.mat'} does not say what the classes in {file.name} are "
            f"({type(error).__name__}: {error}): put the devkit's two files there."
        ) from None
    return {
        Path(path).stem: class_of.get(name, -1)
        for path, name in zip(paths, wordnet_ids, strict=True)
    }


def pictures_in(folder: Path) -> list[str]:
    """Return the names of the pictures that lie in a folder, sorted."""
    names = (path.name for path in folder.iterdir())
    return sorted(
        name
        for name in names
        if name.lower().endswith(JPEG_PNG_SUFFIXES) and not name.startswith(".")
    )
