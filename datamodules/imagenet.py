"""ImageNet's validation and training pictures, in each of the layouts people have.

Classes are named by WordNet ids, such as n01440764, and numbered in their order, as torchvision,
TFDS and WebVision do. Facts about layouts: those of ILSVRC-2012 and of label-noise projects.
"""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.noise import Labels

PICTURES = (".jpeg", ".jpg", ".png")

_KAGGLE = "LOC_val_solution.csv"
_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_LISTS = ("imagenet_val.txt", "val.txt", "val_list.txt", "val_labels.txt")

LAYOUTS = (
    "val/<WordNet id>/, val/<class number>/, a flat val/ with imagenet_val.txt (lines `name class`)"
    f" or {_KAGGLE}, or with the devkit ({_TRUTH} and meta.mat)"
)


class Labelled(NamedTuple):
    """Pictures below a folder, and their classes."""

    root: Path
    paths: list[str]
    label: Labels


def validation(folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    """Find the validation pictures of some classes.

    Args:
        folder: with a `val` folder in it, or that one itself.
        wordnet: WordNet id of each class, in order; others are left out.

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
    """Find the training pictures of some classes: `train/<WordNet id>/`; None if there are none."""
    for train in (folder / "train", folder / "ILSVRC2012_img_train", folder):
        if train.is_dir() and (train / wordnet[0]).is_dir():
            return by_folder(train, wordnet)
    return None


def by_folder(folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    """Read folders of classes, by WordNet id or by class number; None if there are none."""
    here = {one.name for one in folder.iterdir() if one.is_dir()}
    numbers = [str(number) for number in range(len(wordnet))]
    names = next((names for names in (wordnet, numbers) if here & set(names)), None)
    if names is None:
        return None
    missing = [name for name in names if name not in here]
    if missing:
        raise ValueError(
            f"{folder} has no folder {missing[0]} ({len(missing)} of {len(names)} classes are "
            "missing): put all of them there."
        )
    paths, label = [], []
    for number, name in enumerate(names):
        files = sorted(one.name for one in (folder / name).iterdir() if _is_picture(one.name))
        paths += [f"{name}/{file}" for file in files]
        label += [number] * len(files)
    return Labelled(folder, paths, np.array(label, dtype=np.int64))


def _flat(val: Path, folder: Path, wordnet: Sequence[str]) -> Labelled | None:
    paths = sorted(one.name for one in val.iterdir() if _is_picture(one.name))
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
            # the devkit is a folder of its own
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
    label = [classes[Path(path).stem] for path in chosen]
    return Labelled(val, chosen, np.array(label, dtype=np.int64))


def _list(file: Path, number: Mapping[str, int]) -> dict[str, int]:
    """Read lines `name class`, the class as number or WordNet id; -1 for those not wanted."""
    classes = {}
    for line in filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines())):
        name, _, said = line.replace(",", " ").rpartition(" ")
        place = number.get(said, int(said) if said.isdigit() else -1)
        classes[Path(name).stem] = place if place < len(number) else -1
    return classes


def _kaggle(file: Path, number: Mapping[str, int]) -> dict[str, int]:
    """Read Kaggle's `ImageId,PredictionString`, the latter beginning with a WordNet id."""
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    return {row["ImageId"]: number.get(row["PredictionString"].split()[0], -1) for row in rows}


def _devkit(file: Path, paths: Sequence[str], number: Mapping[str, int]) -> dict[str, int]:
    """Read a line a picture, in order of their names: ILSVRC ids, which `meta.mat` names."""
    from scipy.io import loadmat

    truth = [int(line) for line in file.read_text().split()]
    if len(truth) != len(paths):
        raise ValueError(
            f"{file} is of {len(truth):,} pictures, and there are {len(paths):,}: put all of the "
            "validation pictures there."
        )
    meta = loadmat(file.parent / "meta.mat", squeeze_me=True)["synsets"]
    wordnet = {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in meta}
    return {
        Path(path).stem: number.get(wordnet[said], -1)
        for path, said in zip(paths, truth, strict=True)
    }


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES) and not name.startswith(".")
