"""Tiny data sets in the layouts of the official downloads, a few KiB each, made by code.

A picture's colour says which class it really shows, whatever a list says: see `painted.colour`.
"""

import csv
import itertools
from pathlib import Path

import numpy as np
from scipy.io import savemat

from datamodules.animal10n import CLASS_NAMES
from tests.datamodules.painted import picture, write

CLOTHES = 14
DISHES = [f"dish_{number}" for number in range(101)]

# WordNet ids in order; the first names of the last two are the same, as ImageNet's cranes'.
WORDNET = ["n01440764", "n01443537", "n02012849", "n03126707"]
SYNSETS = ["tench, Tinca tinca", "goldfish, Carassius auratus", "crane", "crane"]
# ILSVRC counts in another order, and has more than are wanted.
ILSVRC = [WORDNET[2], "n09999999", WORDNET[0], WORDNET[3], WORDNET[1]]
VAL_PER_CLASS = 2


def clothing1m(root: Path, *, lists: str = ".", images: str = "images") -> None:
    """Write Clothing1M: of each of 14 classes c, in ten folders,

    * 2 noisy pictures: `a` is labelled c, `b` (c + 1) % 14;
    * 2 of clean_train: `both` has the noisy label (c + 2) % 14 too, `only` has none;
    * 1 of clean_val and 1 of clean_test, the latter with a noisy label too.

    Args:
        root: where it goes.
        lists: folder of the lists.
        images: folder of the ten folders.
    """
    keys: dict[str, list[str]] = {part: [] for part in ("noisy", "train", "val", "test")}
    noisy, clean = {}, {}
    for label in range(CLOTHES):
        for part, name, said in (
            ("noisy", "a", label),
            ("noisy", "b", (label + 1) % CLOTHES),
            ("train", "both, été", (label + 2) % CLOTHES),
            ("train", "only", None),
            ("val", "val", None),
            ("test", "test", (label + 3) % CLOTHES),
        ):
            # names are the same in different folders
            key = f"{label % 10}/{label // 10}/{name}.jpg"
            picture(root / images / key, label)
            keys[part].append(f"images/{key}")
            if said is not None:
                noisy[f"images/{key}"] = said
            if part != "noisy":
                clean[f"images/{key}"] = label
    where = root / lists
    write(where / "category_names_eng.txt", [f"Cloth {label}" for label in range(CLOTHES)])
    write(where / "noisy_label_kv.txt", [f"{key} {said}" for key, said in noisy.items()])
    write(where / "clean_label_kv.txt", [f"{key} {said}" for key, said in clean.items()])
    for part, listed in keys.items():
        name = "noisy_train" if part == "noisy" else f"clean_{part}"
        write(where / f"{name}_key_list.txt", listed)


def food101n(root: Path, food101: Path) -> None:
    """Write Food-101N, of each of 101 classes 3 pictures `0.jpg`, ..., and Food-101's test list.

    `0.jpg` was verified as right for training, `1.jpg` as wrong, which it is: it shows the next
    class. `2.jpg` was not verified, except the first two classes', for validation: right, wrong.
    The last class lists `twice.jpg` of the first one too, and it was verified where it is not.
    """
    listed, train = [], []
    for label, name in enumerate(DISHES):
        for number in range(3):
            wrong = number == 1 or (label, number) == (1, 2)
            shows = (label + wrong) % len(DISHES)
            picture(root / "images" / name / f"{number}.jpg", shows, number)
            listed.append(f"{name}/{number}.jpg")
        train += [f"{name}/0.jpg\t1", f"{name}/1.jpg\t0"]
        picture(food101 / "images" / name / "7.jpg", label)
    for name in (DISHES[0], DISHES[-1]):
        picture(root / "images" / name / "twice.jpg", 0)
        listed.append(f"{name}/twice.jpg")
    train += [f"{DISHES[0]}/twice.jpg\t1", f"{DISHES[5]}/twice.jpg\t1"]
    meta = root / "meta"
    write(meta / "classes.txt", ["class_name", *DISHES])
    write(meta / "imagelist.tsv", ["class_name/key", *listed])
    header = "class_name/key\tverification_label"
    write(meta / "verified_train.tsv", [header, *train])
    val = [f"{DISHES[0]}/2.jpg\t1", f"{DISHES[1]}/2.jpg\t0"]
    write(meta / "verified_val.tsv", [header, *val])
    write(food101 / "meta" / "test.txt", [f"{name}/7" for name in DISHES])


def animal10n(root: Path) -> None:
    """Write ANIMAL-10N: of each of 10 classes 3 training pictures and 2 for the test.

    The last training picture of each class shows its look-alike.
    """
    for label in range(len(CLASS_NAMES)):
        for number in range(3):
            shows = label ^ 1 if number == 2 else label
            picture(root / "training" / f"{label}_{number + 9}.jpg", shows, number)
        for number in range(2):
            picture(root / "testing" / f"{label}_{number + 9}.jpg", label, number)


def webvision(root: Path) -> None:
    """Write WebVision with 5 classes, the last not wanted.

    3 pictures each, `same.jpg` in two query folders and `ähnlich 2.jpg`; 3 for validation.
    """
    google, val = [], []
    for label in range(5):
        for query, name in ((2 * label, "same"), (2 * label + 1, "same"), (2 * label, "ähnlich 2")):
            path = f"google/q{query + 1:04}/{name}.jpg"
            picture(root / path, label)
            google.append(f"{path} {label}")
        for number in range(3):
            name = f"val{3 * label + number:06}.jpg"
            picture(root / "val_images_256" / name, label, number)
            val.append(f"{name} {label}")
    names = [f"{one} {name}" for one, name in zip(WORDNET, SYNSETS, strict=True)]
    write(root / "info" / "synsets.txt", [*names, "n03127925 crate"])
    write(root / "info" / "train_filelist_google.txt", google)
    write(root / "info" / "val_filelist.txt", val)


def imagenet_train(root: Path) -> None:
    """Write ImageNet's training pictures: 2 of each of 4 classes."""
    for label, name in enumerate(WORDNET):
        for number in range(2):
            picture(root / "train" / name / f"{name}_{number}.JPEG", label, number)


def imagenet_val(root: Path, layout: str) -> None:
    """Write ImageNet's validation pictures: 2 of each of 4 classes, and 2 of another in flat ones.

    Args:
        root: where `val` goes.
        layout: `wordnet` and `number` name folders, the others the file beside a flat `val`.
    """
    val, said = root / "val", {}
    for place in range(VAL_PER_CLASS * len(ILSVRC)):
        name, wordnet = f"ILSVRC2012_val_{place + 1:08}", ILSVRC[place % len(ILSVRC)]
        label = WORDNET.index(wordnet) if wordnet in WORDNET else 99
        folder = {"wordnet": wordnet, "number": str(label)}.get(layout, "")
        if folder and label == 99:
            continue
        picture(val / folder / f"{name}.JPEG", label)
        said[name] = wordnet, label, ILSVRC.index(wordnet) + 1
    if layout == "imagenet_val.txt":
        write(root / layout, [f"{name}.JPEG {label}" for name, (_, label, _) in said.items()])
    if layout == "LOC_val_solution.csv":
        with (root / layout).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ImageId", "PredictionString"])
            # not in order of names
            for name, (wordnet, _, _) in reversed(said.items()):
                writer.writerow([name, f"{wordnet} 1 2 3 4 {wordnet} 5 6 7 8 "])
    if layout == "devkit":
        data = root / "ILSVRC2012_devkit_t12" / "data"
        truth = [str(number) for _, _, number in said.values()]
        write(data / "ILSVRC2012_validation_ground_truth.txt", truth)
        synsets = np.empty((len(ILSVRC), 1), dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O")])
        for place, wordnet in enumerate(ILSVRC):
            synsets[place, 0] = (np.uint16(place + 1), wordnet)
        savemat(data / "meta.mat", {"synsets": synsets})


def overrides(dataset: str, folder: Path) -> list[str]:
    """Write what a data set needs to be built, and return the settings that point there.

    Args:
        dataset: as in `dataset=`.
        folder: where it goes.
    """
    if dataset == "folder":
        for label, number in itertools.product(range(2), range(3)):
            picture(folder / f"class {label}" / f"{number}.jpg", label, number)
        return [f"data_dir={folder}"]
    made = {f"dataset.{name}_dir": folder / name for name in ("webvision", "imagenet")}
    settings = ["probe_per_class=1"]
    if dataset == "clothing1m":
        made = {"dataset.clothing1m_dir": folder}
        clothing1m(folder)
    elif dataset == "food101n":
        made = {f"dataset.{name}_dir": folder / name for name in ("food101n", "food101")}
        food101n(*made.values())
    elif dataset == "animal10n":
        made = {"dataset.animal10n_dir": folder}
        animal10n(folder)
    elif dataset.startswith("webvision"):
        settings.append(f"dataset.first_classes={len(WORDNET)}")
        webvision(folder / "webvision")
    else:
        return []
    return settings + [f"{key}={path}" for key, path in made.items()]
