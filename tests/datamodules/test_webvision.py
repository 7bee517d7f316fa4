import csv
import shutil

import numpy as np
import pytest

from datamodules.batch import UNKNOWN
from datamodules.webvision import WebVision
from tests.datamodules.miniatures import WORDNET, imagenet_train, imagenet_val, webvision
from tests.datamodules.painted import picture, write
from tests.datamodules.readers import SETTINGS, check_labels, first_step, rows_of, seen


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    webvision(folder / "webvision")
    return folder


@pytest.fixture
def folder(untouched, tmp_path):
    shutil.copytree(untouched / "webvision", tmp_path / "webvision")
    return tmp_path


def made(folder, **changes) -> WebVision:
    where = {f"{name}_dir": folder / name for name in ("webvision", "imagenet")}
    return WebVision(**{**SETTINGS, "first_classes": 4, **where, **changes})


def test_every_row_is_what_the_lists_say(folder):
    imagenet_train(folder / "imagenet")
    data = made(folder)
    rows = rows_of(data)
    assert data.class_names == ("tench", "goldfish", "crane (n02012849)", "crane (n03126707)")
    assert len(rows) == data.train_size == 12 + 8
    for label in range(4):
        # the same name in the folders of different queries
        for path in (f"q{2 * label + 1:04}/same", f"q{2 * label + 2:04}/same"):
            assert rows[f"google/{path}.jpg"] == (label, UNKNOWN, False)
        assert rows[f"google/q{2 * label + 1:04}/ähnlich 2.jpg"] == (label, UNKNOWN, False)
        trusted = folder / "imagenet" / "train" / WORDNET[label] / f"{WORDNET[label]}_0.JPEG"
        assert rows[str(trusted)] == (-1, label, True)
    assert not [path for path in rows if "q0009" in path]  # the fifth class
    check_labels(data)
    assert seen(data.train_set) == data.drawn_manifest.given.tolist()


def test_the_probe_comes_from_imagenets_training_pictures(folder):
    imagenet_train(folder / "imagenet")
    imagenet_val(folder / "imagenet", "wordnet")
    data = made(folder)
    assert (data.num_train, data.num_probe) == (12, 4)
    probe = [data.training_list.files.paths[row] for row in data.drawn_manifest.probe_rows]
    assert all("/imagenet/train/" in path for path in probe)
    assert data.test_names == ("test", "val")
    assert [len(one.label) for one in data.test_lists.values()] == [8, 12]
    assert data.notes == [
        "test: 8 of ImageNet's validation pictures; val: 12 of WebVision's",
    ]
    check_labels(data)


def test_or_from_a_list(folder):
    imagenet_train(folder / "imagenet")  # the list wins
    rows = []
    for label, name in enumerate(WORDNET):
        picture(folder / f"mine {label}.jpg", label)
        rows.append((f"mine {label}.jpg", name if label % 2 else label))
    with (folder / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    data = made(folder, probe_list=str(folder / "mine.csv"))
    assert data.train_size == 12 + 4
    assert data.drawn_manifest.probe_label.tolist() == [0, 1, 2, 3]
    assert len(data.test_lists["test"].label) == 12
    check_labels(data)


def test_a_listed_picture_of_the_test_is_not_tested_on(folder):
    imagenet_val(folder / "imagenet", "imagenet_val.txt")
    rows = []
    for label in range(4):
        name = next(
            line.split()[0]
            for line in (folder / "imagenet/imagenet_val.txt").read_text().splitlines()
            if line.endswith(f" {label}")
        )
        rows.append((folder / "imagenet" / "val" / name, label))
    with (folder / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    data = made(folder, probe_list=str(folder / "mine.csv"))
    assert [len(one.label) for one in data.test_lists.values()] == [4, 12]
    check_labels(data)


def test_or_from_the_validation_pictures_which_is_said(folder):
    data = made(folder)
    assert data.test_names == ("test",)
    tested = set(data.test_lists["test"].files.paths)
    probe = {data.training_list.files.paths[row] for row in data.drawn_manifest.probe_rows}
    assert (len(tested), len(probe)) == (8, 4)
    assert not {f"val_images_256/{path}" for path in tested} & probe
    first, second = data.notes
    assert "no trusted pictures were found" in first
    assert "the probe is 4 of WebVision's validation pictures, and the other 8 are tested" in first
    assert "ImageNet's validation pictures are not in dataset.imagenet_dir=" in second
    assert "the test is 8 of WebVision's" in second
    check_labels(data)


def test_it_is_another_test_set_with_imagenets_validation_but_not_with_another_seed(folder):
    def hash_of_test_set(**changes):
        data = made(folder, **changes)
        data.setup_lazily()
        return data.test_set_hash

    before = hash_of_test_set()
    assert before == hash_of_test_set(seed=7)
    imagenet_val(folder / "imagenet", "number")
    assert before != hash_of_test_set() == hash_of_test_set(seed=7)


def test_with_imagenets_validation_the_fallback_is_said_too(folder):
    imagenet_val(folder / "imagenet", "number")
    data = made(folder)
    assert [len(one.label) for one in data.test_lists.values()] == [8, 8]
    assert "no trusted pictures were found" in data.notes[0]
    check_labels(data)


def test_class_folders_without_val_are_never_probe_and_test_at_once(folder):
    imagenet_val(folder, "wordnet")
    data = made(folder, imagenet_dir=folder / "val")
    assert len(data.test_lists["test"].label) == 8
    assert not [row for row in data.training_list.files.paths if str(folder / "val") + "/" in row]


def test_without_a_probe_all_is_tested_on(folder):
    data = made(folder, probe_per_class=0)
    assert len(data.test_lists["test"].label) == 12
    assert (data.num_train, data.num_probe) == (12, 0)
    assert not any("no trusted pictures" in note for note in data.notes)


@pytest.mark.parametrize("probe_per_class", [3, None])
def test_a_probe_that_leaves_no_test_is_refused(folder, probe_per_class):
    with pytest.raises(ValueError, match="all of WebVision's validation pictures of 4 classes"):
        made(folder, probe_per_class=probe_per_class)


@pytest.mark.parametrize(
    ("first_classes", "why"),
    [(0, "2 or more"), (1, "2 or more"), ("some", "2 or more"), (6, ".*give 2 to 5")],
)
def test_an_impossible_number_of_classes_is_refused(untouched, first_classes, why):
    with pytest.raises(ValueError, match=rf"dataset\.first_classes={first_classes} .*{why}"):
        made(untouched, first_classes=first_classes)


def test_the_official_mini_list_is_recognised(folder):
    info = folder / "webvision" / "info"
    names = [f"n{number:08} name {number}" for number in range(50)]
    write(info / "synsets.txt", names)
    write(
        info / "train_filelist_google.txt", [f"google/q/{label}.jpg {label}" for label in range(50)]
    )
    write(info / "val_filelist.txt", [f"{row}.jpg {row % 50}" for row in range(100)])
    data = made(folder, first_classes=50)
    assert "this copy has 50 training pictures (65,944)" in data.notes[0]
    assert len(data.notes) == 3


@pytest.mark.parametrize("name", ["train_filelist_google.txt", "val_filelist.txt", "synsets.txt"])
def test_a_missing_list_is_named(folder, name):
    (folder / "webvision" / "info" / name).unlink()
    with pytest.raises(ValueError, match=rf"info/{name}.*unpack"):
        made(folder)


@pytest.mark.parametrize("line", ["google/q0001/x.jpg", "google/q0001/x.jpg y", "x.jpg 1000", "7"])
def test_a_line_that_is_none_is_named(folder, line):
    file = folder / "webvision" / "info" / "train_filelist_google.txt"
    file.write_text(file.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="not `path class`, the class from 0 to 999") as caught:
        made(folder)
    assert repr(line) in str(caught.value)


def test_a_name_may_hold_what_ends_lines_elsewhere(folder):
    file = folder / "webvision" / "info" / "train_filelist_google.txt"
    file.write_text(file.read_text(encoding="utf-8") + "google/a\u2028b\x85c.jpg 1\n", "utf-8")
    assert "google/a\u2028b\x85c.jpg" in rows_of(made(folder))


def test_ugly_pictures_do_not_swap_labels(folder):
    root = folder / "webvision" / "google"
    for label, kind in enumerate(("truncated", "empty", "cmyk", "16 bit")):
        picture(root / f"q{2 * label + 1:04}" / "same.jpg", label, kind=kind)
    data = made(folder)
    data.setup()
    shows = dict(zip(data.training_list.files.paths, seen(data.train_set), strict=False))
    assert shows["google/q0005/same.jpg"] == 2
    for label in range(4):
        assert shows[f"google/q{2 * label + 2:04}/same.jpg"] == label
        assert shows[f"google/q{2 * label + 1:04}/ähnlich 2.jpg"] == label
    assert sorted(data.unreadable.seen) == [str(root / f"q000{n}/same.jpg") for n in (1, 3)]
    unreadable = data.train_set[np.array([0])].image
    assert (unreadable == 128).all()


def test_missing_pictures_are_named_before_training(folder):
    (folder / "webvision" / "google" / "q0003" / "same.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 24 training pictures .*google/q0003/same\.jpg"):
        made(folder).setup()


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_a_step_of_training(untouched, pictures):
    step = first_step(made(untouched, pictures=pictures))
    assert step.probe.label.tolist() == [0, 1, 2, 3, 0, 1]
    assert (step.batch.clean_label == UNKNOWN).all()


def test_the_draws_stay_the_same_when_the_data_move(folder):
    imagenet_train(folder / "imagenet")
    before = made(folder).drawn_manifest.hash
    shutil.move(folder / "imagenet", folder / "elsewhere")
    assert made(folder, imagenet_dir=folder / "elsewhere").drawn_manifest.hash == before
    renamed = folder / "elsewhere" / "train" / WORDNET[0]
    (renamed / f"{WORDNET[0]}_0.JPEG").rename(renamed / "other.JPEG")
    assert made(folder, imagenet_dir=folder / "elsewhere").drawn_manifest.hash != before
