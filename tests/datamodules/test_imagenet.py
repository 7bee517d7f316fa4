import shutil

import numpy as np
import pytest

from datamodules.imagenet import find_training, find_validation
from datamodules.pictures import open_picture
from tests.datamodules.miniatures import WORDNET, imagenet_train, imagenet_val
from tests.datamodules.painted import picture, shown, write

LAYOUTS = ["wordnet", "number", "imagenet_val.txt", "LOC_val_solution.csv", "devkit"]
FLAT = LAYOUTS[2:]


def colours(found) -> list[int]:
    images = [np.asarray(open_picture(found.root / path)) for path in found.paths]
    return shown(np.stack(images).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_says_what_the_pictures_show(tmp_path, layout):
    imagenet_val(tmp_path, layout)
    found = find_validation(tmp_path, WORDNET)
    assert found.root == tmp_path / "val"
    assert sorted(found.label.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert colours(found) == found.label.tolist()
    few = find_validation(tmp_path, WORDNET[:2])
    assert sorted(few.label.tolist()) == [0, 0, 1, 1]
    assert colours(few) == few.label.tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_folder_may_be_that_of_the_pictures_itself(tmp_path, layout):
    imagenet_val(tmp_path, layout)
    found = find_validation(tmp_path / "val", WORDNET)
    assert colours(found) == found.label.tolist()
    assert len(found.label) == 8
    assert find_training(tmp_path / "val", WORDNET) is None  # these are not for training


def test_the_folder_may_have_its_tars_name(tmp_path):
    imagenet_val(tmp_path, "devkit")
    (tmp_path / "val").rename(tmp_path / "ILSVRC2012_img_val")
    assert len(find_validation(tmp_path, WORDNET).label) == 8


def test_lists_may_hold_wordnet_ids_commas_and_folders(tmp_path):
    imagenet_val(tmp_path, "wordnet")
    names = list((tmp_path / "val").rglob("*.JPEG"))
    lines = [f"val/{path.name},{path.parent.name}" for path in names]
    for path in names:
        path.rename(tmp_path / "val" / path.name)
    for folder in WORDNET:
        (tmp_path / "val" / folder).rmdir()
    write(tmp_path / "val_list.txt", ["name,class", *lines])
    found = find_validation(tmp_path, WORDNET)
    assert colours(found) == found.label.tolist()
    assert len(found.label) == 8


def test_nothing_there(tmp_path):
    assert find_validation(tmp_path / "no", WORDNET) is None
    assert find_training(tmp_path / "no", WORDNET) is None
    (tmp_path / "val").mkdir()
    assert find_validation(tmp_path, WORDNET) is None


@pytest.mark.parametrize("layout", ["wordnet", "number"])
@pytest.mark.parametrize("empty", [True, False])
def test_classes_without_pictures_are_named(tmp_path, layout, empty):
    imagenet_val(tmp_path, layout)
    name = WORDNET[1] if layout == "wordnet" else "1"
    shutil.rmtree(tmp_path / "val" / name)
    if empty:
        (tmp_path / "val" / name).mkdir()
    with pytest.raises(ValueError, match=rf"val has no pictures in {name}/ \(1 of 4 classes"):
        find_validation(tmp_path, WORDNET)


def test_flat_pictures_without_a_list_are_refused(tmp_path):
    imagenet_val(tmp_path, "imagenet_val.txt")
    (tmp_path / "imagenet_val.txt").unlink()
    with pytest.raises(ValueError, match="holds 10 pictures, but nothing says their classes: put"):
        find_validation(tmp_path, WORDNET)


@pytest.mark.parametrize("layout", FLAT)
def test_a_list_of_other_pictures_is_refused(tmp_path, layout):
    imagenet_val(tmp_path, layout)
    picture(tmp_path / "val" / "another.JPEG", 0)
    with pytest.raises(ValueError, match=r"says nothing of 1 of the 11|is of 10 .* there are 11"):
        find_validation(tmp_path, WORDNET)


@pytest.mark.parametrize("layout", FLAT)
def test_a_list_without_the_classes_wanted_is_refused(tmp_path, layout):
    imagenet_val(tmp_path, layout)
    if layout == "imagenet_val.txt":
        file = tmp_path / layout
        write(file, [line.replace(" ", " 9") for line in file.read_text().splitlines()])
    with pytest.raises(ValueError, match=r"names no picture in .*val of the classes wanted"):
        find_validation(tmp_path, ["n00000001", "n00000002"])


@pytest.mark.parametrize("damage", [None, b"", b"no matrix"])
def test_a_devkit_without_its_names_is_refused(tmp_path, damage):
    imagenet_val(tmp_path, "devkit")
    meta = tmp_path / "ILSVRC2012_devkit_t12" / "data" / "meta.mat"
    meta.unlink()
    if damage is not None:
        meta.write_bytes(damage)
    with pytest.raises(ValueError, match=r"meta\.mat does not say what the classes in ILSVRC2012_"):
        find_validation(tmp_path, WORDNET)


def test_a_class_that_the_devkit_does_not_name_is_refused(tmp_path):
    imagenet_val(tmp_path, "devkit")
    truth = next((tmp_path / "ILSVRC2012_devkit_t12").rglob("*ground_truth.txt"))
    truth.write_text("77\n" * 10)
    with pytest.raises(ValueError, match=r"does not say what .*KeyError: '77'"):
        find_validation(tmp_path, WORDNET)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "ImageId,PredictionString\nx\n"])
def test_a_damaged_solution_is_refused(tmp_path, text):
    imagenet_val(tmp_path, "LOC_val_solution.csv")
    (tmp_path / "LOC_val_solution.csv").write_text(text)
    with pytest.raises(ValueError, match=r"LOC_val_solution\.csv is not Kaggle's"):
        find_validation(tmp_path, WORDNET)


def test_training_pictures(tmp_path):
    imagenet_train(tmp_path)
    (tmp_path / "train" / WORDNET[0] / ".hidden.JPEG").write_bytes(b"")
    (tmp_path / "train" / WORDNET[0] / "readme.txt").write_bytes(b"")
    found = find_training(tmp_path, WORDNET)
    assert found.label.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert colours(found) == found.label.tolist()
    shutil.rmtree(tmp_path / "train" / WORDNET[0])  # not taken for a folder without any
    with pytest.raises(ValueError, match=rf"train has no pictures in {WORDNET[0]}/"):
        find_training(tmp_path, WORDNET)
