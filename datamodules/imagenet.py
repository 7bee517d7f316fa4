"""Find ImageNet's validation and training pictures, in any of the usual layouts.

Classes are named by WordNet ids, such as n01440764, and numbered in the order of these, as in
torchvision, TFDS and WebVision. The layouts are those of ILSVRC-2012 and of label-noise projects.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from datamodules.listing import Labelled
from datamodules.lists import read_lines

PICTURES = (".jpeg", ".jpg", ".png")

_KAGGLE = "LOC_val_solution.csv"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LISTS = ("imagenet_val.txt", "val.txt", "val_list.txt", "val_labels.txt")

LAYOUTS = (
    "val/<WordNet id>/, val/<class number>/, a flat val/ with imagenet_val.txt (lines `name class`)"
    f" or {_KAGGLE}, or with the devkit ({_TRUTH} and meta.mat)"
)


def validation(folder: Path, wordnet: Sequence[str]) -> Labelled | None:
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
        found = by_folder(val, wordnet) or _flat(val, folder, wordnet)
        if found is not None:
            return found
    return None


def training(folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    """Find the training pictures of some classes: `train/<WordNet id>/`; None if there are none.

    `folder` itself is not searched: class folders there count as validation pictures.

    Raises:
        ValueError: if some classes are missing.
    """
    for train in (folder / "train", folder / "ILSVRC2012_img_train"):
        if any((train / name).is_dir() for name in wordnet):
            return by_folder(train, wordnet)
    return None


def by_folder(folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    """Read class folders, named by WordNet id or by class number; None if there are none.

    Raises:
        ValueError: if a class has no folder, or no pictures in it.
    """
    here = {one.name for one in folder.iterdir() if one.is_dir()}
    numbers = [str(number) for number in range(len(wordnet))]
    names = next((names for names in (wordnet, numbers) if here & set(names)), None)
    if names is None:
        return None
    files = [pictures_in(folder / name) if name in here else [] for name in names]
    missing = [name for name, found in zip(names, files, strict=True) if not found]
    if missing:
        raise ValueError(
            f"{folder} has no pictures in {missing[0]}/ ({len(missing)} of {len(names)} classes "
            "have none): put those of all classes there."
        )
    paths = [f"{name}/{file}" for name, found in zip(names, files, strict=True) for file in found]
    label = np.repeat(np.arange(len(names)), [len(found) for found in files])
    return Labelled(folder, paths, label)


def _flat(val: Path, folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    paths = pictures_in(val)
    if not paths:
        return None
    number = {name: place for place, name in enumerate(wordnet)}
    readers: dict[str, Callable[[Path], Mapping[str, int]]] = {
        _KAGGLE: lambda file: _kaggle(file, number),
        _TRUTH: lambda file: _devkit(file, paths, number),
        **{name: lambda file: _list(file, number) for name in _LISTS},
    }
    places = (folder, val, folder.parent)
    for name, reader in readers.items():
        for place in places:
            # the devkit is in its own folder
            for file in (place / name, *sorted(place.glob(f"*devkit*/data/{name}"))):
                if file.is_file():
                    return _matched(val, paths, reader(file), file)
    raise ValueError(
        f"{val} holds {len(paths):,} pictures, but nothing says their classes: put one of "
        f"{_KAGGLE}, {_LISTS[0]} or the devkit in {folder}."
    )


def _matched(val: Path, paths: list[str], classes: Mapping[str, int], file: Path) -> Labelled:
    unknown = [path for path in paths if Path(path).stem not in classes]
    if unknown:
        raise ValueError(
            f"{file} says nothing of {len(unknown):,} of the {len(paths):,} pictures in {val}, the "
            f"first is {unknown[0]}: put the list there that belongs to them."
        )
    chosen = [path for path in paths if classes[Path(path).stem] >= 0]
    if not chosen:
        raise ValueError(
            f"{file} names no picture in {val} of the classes wanted: put another there."
        )
    label = [classes[Path(path).stem] for path in chosen]
    return Labelled(val, chosen, np.array(label, dtype=np.int64))


def _list(file: Path, number: Mapping[str, int]) -> dict[str, int]:
    """Read lines `name class`, with the class as number or WordNet id; -1 if it is not wanted."""
    classes = {}
    for line in read_lines(file, "put another copy there"):
        name, _, said = line.replace(",", " ").rpartition(" ")
        place = number.get(said, int(said) if said.isdigit() else -1)
        classes[Path(name).stem] = place if place < len(number) else -1
    return classes


def _kaggle(file: Path, number: Mapping[str, int]) -> dict[str, int]:
    """Read Kaggle's `ImageId,PredictionString`, the latter beginning with a WordNet id."""
    rows = list(csv.DictReader(read_lines(file, "put another copy there")))
    try:
        return {row["ImageId"]: number.get(row["PredictionString"].split()[0], -1) for row in rows}
    except (KeyError, AttributeError, IndexError):
        raise ValueError(
            f"{file} is not Kaggle's: it has a line without ImageId and PredictionString."
        ) from None


def _devkit(file: Path, paths: Sequence[str], number: Mapping[str, int]) -> dict[str, int]:
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
        wordnet = {str(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in meta}
        named = [wordnet[said] for said in truth]
    except Exception as error:  # damaged data raise many kinds, and all of them mean this
        raise ValueError(
            f"{file.parent / 'meta.mat'} does not say what the classes in {file.name} are "
            f"({type(error).__name__}: {error}): put the devkit's two files there."
        ) from None
    return {Path(path).stem: number.get(name, -1) for path, name in zip(paths, named, strict=True)}


def pictures_in(folder: Path) -> list[str]:
    """Return the names of the pictures that lie in a folder, sorted."""
    names = (one.name for one in folder.iterdir())
    return sorted(
        name for name in names if name.lower().endswith(PICTURES) and not name.startswith(".")
    )
