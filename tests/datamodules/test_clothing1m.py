import shutil

import numpy as np
import pytest

from datamodules.batch import UNKNOWN
from datamodules.clothing1m import Clothing1M
from tests.datamodules.miniatures import CLOTHES, clothing1m
from tests.datamodules.painted import picture, write
from tests.datamodules.readers import SETTINGS, check_labels, first_step, rows_of, seen

KEYS = [f"{label % 10}/{label // 10}" for label in range(CLOTHES)]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    root = tmp_path_factory.mktemp("clothing1m")
    clothing1m(root)
    return root


@pytest.fixture
def root(untouched, tmp_path):
    return shutil.copytree(untouched, tmp_path / "copy")


def made(root, **changes) -> Clothing1M:
    return Clothing1M(**{**SETTINGS, "clothing1m_dir": root, **changes})


def edit(root, name, change):
    file = root / name
    write(file, change(file.read_text(encoding="utf-8").splitlines()))


def test_every_row_is_what_the_lists_say(untouched):
    data = made(untouched, probe_per_class=None)
    rows = rows_of(data)
    assert data.class_names == tuple(f"Cloth {label}" for label in range(14))
    assert len(rows) == data.train_size == 4 * 14
    for label, where in enumerate(KEYS):
        expected = {
            "a": (label, UNKNOWN, False),
            "b": ((label + 1) % 14, UNKNOWN, False),
            "both, été": ((label + 2) % 14, label, True),
            "only": (-1, label, True),
        }
        for name, row in expected.items():
            assert rows[f"images/{where}/{name}.jpg"] == row
    listed = data.training_list.files.paths
    assert listed[:2] == ["images/0/0/a.jpg", "images/0/0/b.jpg"]  # in the lists' order
    check_labels(data)
    assert (len(data.test_sets["test"]), len(data.test_sets["val"])) == (14, 14)
    assert data.test_names == ("test", "val")
    for name, tested in data.test_lists.items():
        assert {path.rpartition("/")[2] for path in tested.files.paths} == {f"{name}.jpg"}


def test_the_default_probe_is_clean_train_and_the_noisy_list_is_trained_on(untouched):
    data = made(untouched, probe_per_class=None)
    assert (data.num_train, data.num_probe) == (28, 28)
    assert (data.drawn_manifest.clean == UNKNOWN).all()
    assert data.drawn_manifest.effective_noise is None


def test_a_smaller_probe_leaves_known_truth_to_measure_detection_by(untouched):
    data = made(untouched)
    assert data.num_probe == 14
    known = data.drawn_manifest.clean >= 0
    # pictures of clean_train with both labels, all labelled wrongly, but those the probe took
    took = [row for row in data.drawn_manifest.probe_rows if data.training_list.given[row] >= 0]
    assert known.sum() == 14 - len(took) > 0
    assert data.num_train == 28 + known.sum()
    assert data.drawn_manifest.effective_noise == 1
    np.testing.assert_array_equal(
        data.drawn_manifest.given[known], (data.drawn_manifest.clean[known] + 2) % 14
    )
    only_official = made(untouched, twice_labelled=False)
    assert only_official.num_train == 28
    said = f"{known.sum()} noisy examples are clean_train's that have a noisy label too"
    assert [note.startswith(said) for note in data.notes] == [False, True]
    assert len(only_official.notes) == 1
    none_taken = made(untouched, probe_per_class=0)
    assert none_taken.num_train == 28 + 14
    assert none_taken.notes[1].startswith("14 noisy examples")
    assert only_official.drawn_manifest.effective_noise is None


def test_test_pictures_with_a_noisy_label_are_never_trained_on(untouched):
    data = made(untouched)
    assert not [path for path in data.training_list.files.paths if "test" in path or "val" in path]


def test_a_list_that_holds_test_pictures_is_told_apart(root):
    edit(root, "noisy_train_key_list.txt", lambda lines: [*lines, "images/3/0/test.jpg"])
    edit(root, "noisy_train_key_list.txt", lambda lines: [*lines, "images/4/0/both, été.jpg"])
    data = made(root)
    rows = rows_of(data)
    assert rows["images/3/0/test.jpg"] == (6, 3, False)  # its truth is known, but not trusted
    assert rows["images/4/0/both, été.jpg"] == (6, 4, True)
    assert len(rows) == data.train_size == 4 * 14 + 1
    assert any("1 pictures are in the noisy list and tested on" in note for note in data.notes)


@pytest.mark.parametrize(
    ("lists", "images", "paths"),
    [("annotations", "images", "images/0/0/a.jpg"), ("annotations", ".", "0/0/a.jpg")],
)
def test_other_placements(tmp_path, lists, images, paths):
    clothing1m(tmp_path, lists=lists, images=images)
    data = made(tmp_path)
    assert data.training_list.files.paths[0] == paths
    check_labels(data)


def test_a_list_may_lie_apart_from_the_others(root):
    (root / "annotations").mkdir()
    (root / "noisy_label_kv.txt").rename(root / "annotations" / "noisy_label_kv.txt")
    assert made(root).train_size == 56


def test_other_counts_than_the_official_ones_are_said(untouched):
    (note,) = made(untouched, probe_per_class=None).notes
    for part in ("28 pictures in noisy_train (1,000,000)", "28 pictures in clean_train (47,570)"):
        assert part in note
    for part in ("14 pictures in clean_val (14,313)", "14 pictures in clean_test (10,526)"):
        assert part in note


@pytest.mark.parametrize(
    "name",
    [
        "category_names_eng.txt",
        "noisy_label_kv.txt",
        "clean_label_kv.txt",
        "noisy_train_key_list.txt",
        "clean_train_key_list.txt",
        "clean_val_key_list.txt",
        "clean_test_key_list.txt",
    ],
)
def test_a_missing_list_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ValueError, match=rf"^dataset\.clothing1m_dir=.* has no {name}: put the"):
        made(root)


def test_a_switch_that_is_none_is_refused(untouched):
    with pytest.raises(ValueError, match=r"dataset\.twice_labelled=no is not known: give true or"):
        made(untouched, twice_labelled="no")


def test_folders_without_lists_are_refused(tmp_path):
    for name in ("noisy_train", "clean_train", "clean_valid", "clean_test"):
        (tmp_path / name / "0").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"folders such as clean_train/ alone are not read: put"):
        made(tmp_path)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("noisy_label_kv.txt", "images/0/0/x.jpg", "not `path class`, the class from 0 to 13"),
        ("noisy_label_kv.txt", "images/0/0/x.jpg 14", "not `path class`, the class from 0 to 13"),
        ("clean_label_kv.txt", "images/0/0/x.jpg -1", "not `path class`"),
        ("noisy_train_key_list.txt", "images/0/0/no.jpg", r"noisy_label_kv\.txt has no label of 1"),
        ("clean_val_key_list.txt", "images/0/0/no.jpg", r"clean_label_kv\.txt has no label of 1"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, name, line, message):
    edit(root, name, lambda lines: [*lines, line])
    with pytest.raises(ValueError, match=message) as caught:
        made(root)
    assert line.split(" ")[0] in str(caught.value)


def test_a_list_that_is_not_utf_8_is_named(root):
    (root / "noisy_train_key_list.txt").write_bytes(b"images/\xff.jpg\n")
    with pytest.raises(ValueError, match=r"noisy_train_key_list\.txt is not UTF-8 \(byte 7\)"):
        made(root)


def test_lists_written_on_another_system_are_the_same(untouched, root):
    for file in root.glob("*.txt"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    assert made(root).training_list.hash == made(untouched).training_list.hash


def test_moving_the_folder_changes_nothing(untouched, root):
    assert made(root).drawn_manifest.hash == made(untouched).drawn_manifest.hash


def test_ugly_pictures_do_not_swap_labels(root):
    ugly = {"truncated": 0, "empty": 1, "cmyk": 2, "grey": 3, "16 bit": 4}
    for kind, label in ugly.items():
        picture(root / "images" / KEYS[label] / "a.jpg", label, kind=kind)
    data = made(root, probe_per_class=None)
    data.setup()
    a = seen(data.train_set)[::2]
    assert a[2] == 2  # CMYK is seen in its colours
    assert a[5:] == list(range(5, 14))
    grey, deep = (
        data.train_set[np.array([2 * ugly[kind]])].image.float() for kind in ("grey", "16 bit")
    )
    assert (grey - 77).abs().max() <= 1
    assert (deep - 200).abs().max() <= 1
    unreadable = {path[-len("images/0/0/a.jpg") :] for path in data.unreadable.seen}
    assert unreadable == {"images/0/0/a.jpg", "images/1/0/a.jpg"}
    for label in (0, 1):  # what cannot be read is grey
        assert (data.train_set[np.array([2 * label])].image == 128).all()


def test_missing_pictures_are_named_before_training(root):
    (root / "images/3/0/a.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 56 training pictures .* missing .*3/0/a\.jpg"):
        made(root).setup()


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_a_step_of_training(untouched, pictures):
    data = made(untouched, pictures=pictures)
    step = first_step(data)
    assert step.batch.label.tolist() == data.training_list.given[step.batch.index].tolist()
    assert step.probe.label.tolist() == list(range(6))
