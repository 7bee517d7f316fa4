import csv
import shutil

import numpy as np
import pytest

from datamodules.animal10n import Animal10N
from datamodules.batch import UNKNOWN
from tests.datamodules.miniatures import animal10n
from tests.datamodules.painted import picture
from tests.datamodules.readers import SETTINGS, check_labels, first_step, rows_of, seen


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    root = tmp_path_factory.mktemp("animal10n")
    animal10n(root)
    return root


@pytest.fixture
def root(untouched, tmp_path):
    return shutil.copytree(untouched, tmp_path / "copy")


def made(root, **changes) -> Animal10N:
    return Animal10N(**{**SETTINGS, "animal10n_dir": root, **changes})


def listed_in(file, rows) -> str:
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("path", "label"), *rows])
    return str(file)


def test_every_row_is_what_the_names_say(untouched):
    data = made(untouched)
    rows = rows_of(data)
    assert data.class_names[0] == "cat"
    assert data.class_names[9] == "guinea pig"
    assert len(rows) == data.train_size == 30 + 20
    for label in range(10):
        for number in (9, 10, 11):
            assert rows[f"training/{label}_{number}.jpg"] == (label, UNKNOWN, False)
        for number in (9, 10):
            assert rows[f"testing/{label}_{number}.jpg"] == (-1, label, True)


def test_the_probe_is_left_out_of_the_test_and_this_is_said(untouched):
    data = made(untouched)
    check_labels(data)
    assert (data.num_train, data.num_probe) == (30, 10)
    tested = set(data.test_lists["test"].files.paths)
    probe = {data.training_list.files.paths[row] for row in data.drawn_manifest.probe_rows}
    assert (len(tested), len(probe)) == (10, 10)
    assert not tested & probe
    assert data.test_lists["test"].label.tolist() == list(range(10))
    assert data.notes[-1] == (
        "NOTE: no training label is trusted (dataset.probe_list), so 10 of the testing pictures "
        "are the probe, and the other 10 are tested on"
    )
    assert data.drawn_manifest.effective_noise is None
    assert (
        made(untouched, seed=4).drawn_manifest.probe_rows.tolist()
        != data.drawn_manifest.probe_rows.tolist()
    )


def test_whatever_probe_is_drawn_it_is_the_same_test_set(untouched):
    """So a comparison takes means over seeds, and compares with runs without a probe set."""
    modules = [made(untouched, seed=seed) for seed in (1, 4)] + [made(untouched, probe_per_class=0)]
    for data in modules:
        data.setup()
    assert modules[0].test_lists["test"].paths != modules[1].test_lists["test"].paths
    assert len({data.test_set_hash for data in modules}) == 1


def test_without_a_probe_all_is_tested_on(untouched):
    data = made(untouched, probe_per_class=0)
    assert len(data.test_lists["test"].label) == 20
    assert (data.num_train, data.num_probe) == (30, 0)
    assert len(data.notes) == 1  # of the counts
    assert "30 training pictures (50,000), 20 testing pictures (5,000)" in data.notes[0]


@pytest.mark.parametrize("probe_per_class", [2, None])
def test_a_probe_that_leaves_no_test_is_refused(untouched, probe_per_class):
    with pytest.raises(ValueError, match="all testing pictures of 10 classes, such as cat"):
        made(untouched, probe_per_class=probe_per_class)


def test_a_list_of_checked_training_pictures(untouched, tmp_path):
    # class 1's last one shows class 0, as whoever checked it says
    rows = [(untouched / f"training/{label}_9.jpg", label) for label in range(10)]
    rows.append((untouched / "training/1_11.jpg", "cat"))
    given = listed_in(tmp_path / "checked.csv", rows)
    data = made(untouched, probe_list=given)
    of = rows_of(data)
    assert len(of) == data.train_size == 30
    assert of["training/1_9.jpg"] == (1, 1, True)
    assert of["training/1_11.jpg"] == (1, 0, True)
    assert of["training/1_10.jpg"] == (1, UNKNOWN, False)
    assert (data.num_train, data.num_probe) == (20, 10)
    assert len(data.test_lists["test"].label) == 20
    assert not any("NOTE" in note for note in data.notes)
    check_labels(data)
    # who checked it is the user; a testing picture would be nobody's
    assert len(data.checked().row) == 11
    assert len(made(untouched).checked().row) == 0
    assert data.notes[-1].startswith("the probe takes 10 of the 11 training pictures that you")
    everyone = made(untouched, probe_list=given, probe_per_class=None)
    assert (everyone.num_train, everyone.num_probe) == (19, 11)


def test_what_the_probe_leaves_of_a_list_measures_detection(untouched, tmp_path):
    rows = [(untouched / f"training/{label}_9.jpg", label) for label in range(10)]
    rows += [(untouched / f"training/{label}_11.jpg", label ^ 1) for label in range(10)]
    data = made(untouched, probe_list=listed_in(tmp_path / "checked.csv", rows))
    known = data.drawn_manifest.clean >= 0
    assert known.sum() == 10
    shows = np.array(seen_of(data))
    np.testing.assert_array_equal(shows[known], data.drawn_manifest.clean[known])
    assert 0 < data.drawn_manifest.effective_noise < 1


def seen_of(data):
    data.setup()
    return seen(data.train_set)


def test_a_list_of_testing_pictures_however_they_are_named(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    rows = [(f"testing/../testing/{label}_9.jpg", str(label)) for label in range(5)]
    rows += [(f"{tmp_path}/link/testing/{label}_9.jpg", str(label)) for label in range(5, 10)]
    data = made(tmp_path / "link", probe_list=listed_in(root / "checked.csv", rows))
    assert data.num_probe == 10
    assert data.test_lists["test"].files.paths == [f"testing/{label}_10.jpg" for label in range(10)]
    assert data.notes[-1].startswith("NOTE: 10 of the testing pictures are the probe")
    check_labels(data)


def test_pictures_from_elsewhere(untouched, tmp_path):
    for label in range(10):
        picture(tmp_path / f"mine {label}.jpg", label)
    rows = [(f"mine {label}.jpg", label) for label in range(10)]
    data = made(untouched, probe_list=listed_in(tmp_path / "checked.csv", rows))
    check_labels(data)
    assert (data.num_train, data.num_probe, len(data.test_lists["test"].label)) == (30, 10, 20)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a.jpg", "dog")], r"has the label 'dog': give class numbers from 0 to 9, or .* cat\."),
        ([("a.jpg", "10")], "has the label '10'"),
        ([("a.jpg", "1"), ("./a.jpg", "2")], r"names a\.jpg more than once"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(untouched, tmp_path, rows, message):
    with pytest.raises(ValueError, match=rf"^dataset\.probe_list=.*checked\.csv {message}"):
        made(untouched, probe_list=listed_in(tmp_path / "checked.csv", rows))


def test_a_list_that_is_not_there_is_named(untouched):
    with pytest.raises(ValueError, match=r"dataset\.probe_list=.*none\.csv is not there"):
        made(untouched, probe_list="none.csv")


@pytest.mark.parametrize("part", ["training", "testing"])
def test_a_missing_folder_is_named(root, part):
    shutil.rmtree(root / part)
    with pytest.raises(ValueError, match=rf"^dataset\.animal10n_dir=.* has no pictures in {part}/"):
        made(root)


def test_a_name_without_a_label_is_named(root):
    picture(root / "training" / "cat.jpg", 0)
    with pytest.raises(ValueError, match=r"1 pictures whose name .* label .*such as cat\.jpg"):
        made(root)


def test_other_files_are_no_pictures(root):
    (root / "training" / ".0_1.jpg").write_bytes(b"")
    (root / "training" / "Thumbs.db").write_bytes(b"")
    assert made(root).num_train == 30


def test_moving_the_folder_changes_nothing(untouched, root):
    assert made(root).drawn_manifest.hash == made(untouched).drawn_manifest.hash


def test_ugly_pictures_do_not_swap_labels(root):
    kinds = ("truncated", "empty", "cmyk", "grey", "16 bit")
    for label, kind in enumerate(kinds):
        picture(root / "training" / f"{label}_9.jpg", label, kind=kind)
    picture(root / "training" / "3_ñandú 2.jpg", 3)
    data = made(root)
    data.setup()
    shows = dict(zip(data.training_list.files.paths, seen(data.train_set), strict=False))
    assert {shows[f"training/{label}_9.jpg"] for label in (0, 1)} == {seen_grey()}
    assert shows["training/2_9.jpg"] == 2
    assert shows["training/3_ñandú 2.jpg"] == 3
    for label in range(5, 10):
        assert shows[f"training/{label}_9.jpg"] == label
    assert sorted(data.unreadable.seen) == [str(root / f"training/{n}_9.jpg") for n in (0, 1)]


def seen_grey() -> int:
    return round(128 / 25) + 10 * round(128 / 20)


def test_stated_labels_do_not_train_on_the_testing_pictures(untouched, tmp_path):
    np.save(tmp_path / "labels.npy", np.arange(50) % 10)
    data = made(untouched, labels=str(tmp_path / "labels.npy"))
    assert data.num_train == 30
    assert data.drawn_manifest.given.tolist() == [*range(10)] * 3


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_a_step_of_training(untouched, pictures):
    step = first_step(made(untouched, pictures=pictures))
    assert step.probe.label.tolist() == list(range(6))
    assert (step.batch.clean_label == UNKNOWN).all()
