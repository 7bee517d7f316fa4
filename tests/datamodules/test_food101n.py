import shutil

import numpy as np
import pytest

from audit.detection import detection
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.food101n import Food101N
from tests.audit.audits import some_audit
from tests.datamodules.miniatures import DISHES, food101n
from tests.datamodules.painted import picture, write
from tests.datamodules.readers import SETTINGS, check_labels, first_step, rows_of, seen

LAST = DISHES[-1]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("food")
    food101n(folder / "food101n", folder / "food101")
    return folder


@pytest.fixture
def folder(untouched, tmp_path):
    for name in ("food101n", "food101"):  # lists only: pictures are many
        shutil.copytree(untouched / name / "meta", tmp_path / name / "meta")
    return tmp_path


def made(folder, **changes) -> Food101N:
    where = {f"{name}_dir": folder / name for name in ("food101n", "food101")}
    return Food101N(**{**SETTINGS, **where, **changes})


def test_every_row_is_what_the_lists_say(untouched):
    data = made(untouched)
    rows = rows_of(data)
    assert data.class_names == tuple(DISHES)
    assert data.training_list.files.root == untouched / "food101n" / "images"
    assert len(rows) == data.train_size == 3 * 101 + 2
    for label, name in enumerate(DISHES):
        assert rows[f"{name}/0.jpg"] == (label, label, True)
        assert rows[f"{name}/1.jpg"] == (label, KNOWN_WRONG, False)
        if label > 1:
            assert rows[f"{name}/2.jpg"] == (label, UNKNOWN, False)
    # verified for validation: the truth is known, but never trusted
    assert rows[f"{DISHES[0]}/2.jpg"] == (0, 0, False)
    assert rows[f"{DISHES[1]}/2.jpg"] == (1, KNOWN_WRONG, False)


def test_a_picture_of_two_classes_is_two_rows(untouched):
    data = made(untouched)
    rows = rows_of(data)
    assert rows[f"{DISHES[0]}/twice.jpg"] == (0, 0, True)
    assert rows[f"{LAST}/twice.jpg"] == (100, UNKNOWN, False)
    assert f"{DISHES[5]}/twice.jpg" not in rows
    assert any(
        f"1 verified rows are not in imagelist.tsv and left out, such as {DISHES[5]}/twice.jpg"
        in note
        for note in data.notes
    )


def test_pictures_are_with_their_labels(untouched):
    data = made(untouched)
    check_labels(data)
    assert data.num_probe == 101
    assert data.num_train == 305 - 101
    shows, given = np.array(seen(data.train_set)), data.drawn_manifest.given
    wrong = data.drawn_manifest.clean == KNOWN_WRONG
    assert (shows != given)[wrong].all()
    test = data.test_sets["test"]
    assert test.all_examples.label.tolist() == list(range(101))
    assert data.test_names == ("test",)


def test_known_errors_are_errors_to_everyone(untouched):
    drawn = made(untouched).drawn_manifest
    wrong, right = 101 + 1, 2  # right: dish_0's other verified row, and the one for validation
    assert (drawn.clean == KNOWN_WRONG).sum() == wrong
    assert (drawn.clean >= 0).sum() == right
    assert drawn.effective_noise == pytest.approx(wrong / (wrong + right))
    summary = drawn.summary()
    assert summary["wrong_of_unknown_class"] == wrong
    assert np.sum(summary["transition_counts"]) == right
    assert f"effective 0.98 of the {wrong + right} that are known" in drawn.describe()
    audit = some_audit(len(drawn.given), given=drawn.given, clean=drawn.clean)
    assert audit.wrong.sum() == wrong
    found = detection(np.where(audit.wrong, 0.1, 0.9), audit.given, audit.clean)
    assert found["noise/auroc"] == 1.0


def test_all_that_is_trusted(untouched):
    data = made(untouched, probe_per_class=None)
    assert data.num_probe == 102
    assert data.drawn_manifest.probe_label[:101].tolist() == list(range(101))
    assert data.num_train == 305 - 102


def test_a_probe_larger_than_what_is_verified_is_refused(untouched):
    with pytest.raises(ValueError, match=r"probe_per_class=2 .*100 of 101 classes have fewer"):
        made(untouched, probe_per_class=2)


def test_a_row_verified_for_both_is_not_trusted(folder):
    file = folder / "food101n" / "meta" / "verified_val.tsv"
    file.write_text(file.read_text() + "dish_0/twice.jpg\t1\n")
    assert rows_of(made(folder))["dish_0/twice.jpg"] == (0, 0, False)


def test_lists_without_headers_lose_nothing(untouched, folder):
    for name in ("classes.txt", "imagelist.tsv", "verified_train.tsv", "verified_val.tsv"):
        file = folder / "food101n" / "meta" / name
        write(file, file.read_text().splitlines()[1:])
    assert made(folder).training_list.hash == made(untouched).training_list.hash


@pytest.mark.parametrize(
    "name", ["classes.txt", "imagelist.tsv", "verified_train.tsv", "verified_val.tsv"]
)
def test_a_missing_list_is_named(folder, name):
    (folder / "food101n" / "meta" / name).unlink()
    with pytest.raises(ValueError, match=rf"^dataset\.food101n_dir=.* has no meta/{name}: unpack"):
        made(folder)


def test_without_food_101_there_is_no_test(folder):
    shutil.rmtree(folder / "food101")
    with pytest.raises(ValueError, match=r"^dataset\.food101_dir=.* has no meta/test\.txt: .*judg"):
        made(folder)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("food101n/meta/imagelist.tsv", "soup/1.jpg", "begins with none of the 101 classes"),
        ("food101/meta/test.txt", "soup/1", "begins with none of the 101 classes"),
        ("food101n/meta/verified_train.tsv", "dish_1/2.jpg 1", "not `class/key`, a tab, and 0 or"),
        ("food101n/meta/verified_val.tsv", "dish_1/2.jpg\t2", "not `class/key`, a tab, and 0 or 1"),
    ],
)
def test_a_line_that_does_not_fit_is_named(folder, name, line, message):
    file = folder / name
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(ValueError, match=message) as caught:
        made(folder)
    assert str(file) in str(caught.value)
    assert repr(line) in str(caught.value)


def test_missing_test_pictures_are_named(untouched, folder):
    (folder / "food101n" / "images").symlink_to(untouched / "food101n" / "images")
    shutil.copytree(untouched / "food101" / "images", folder / "food101" / "images")
    (folder / "food101" / "images" / "dish_3" / "7.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 101 test pictures .* missing .*dish_3/7\.jpg"):
        made(folder).setup()


def test_ugly_pictures_do_not_swap_labels(folder):
    root = folder / "food101n"
    names = DISHES[:2]
    write(root / "meta" / "classes.txt", ["class_name", *names])
    listed = [f"{name}/{key}.jpg" for name in names for key in ("same", "é 1", "cut", "cmyk")]
    write(root / "meta" / "imagelist.tsv", ["class_name/key", *listed])
    write(root / "meta" / "verified_train.tsv", [f"{name}/same.jpg\t1" for name in names])
    write(root / "meta" / "verified_val.tsv", [])
    write(folder / "food101" / "meta" / "test.txt", [f"{name}/same" for name in names])
    for label, name in enumerate(names):
        for key in ("same", "é 1", "cut", "cmyk"):
            kind = {"cut": "truncated", "cmyk": "cmyk"}.get(key, "plain")
            picture(root / "images" / name / f"{key}.jpg", label, kind=kind)
        picture(folder / "food101" / "images" / name / "same.jpg", label)
    data = made(folder)
    data.setup()
    assert seen(data.probe_set) == [0, 1]
    kept = [0, 2, 3, 5]  # all but those cut short
    assert np.array(seen(data.train_set))[kept].tolist() == [0, 0, 1, 1]
    assert data.drawn_manifest.given[kept].tolist() == [0, 0, 1, 1]
    assert sorted(data.unreadable.seen) == [
        str(root / "images" / name / "cut.jpg") for name in names
    ]


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_a_step_of_training(untouched, pictures):
    step = first_step(made(untouched, pictures=pictures))
    assert step.probe.label.tolist() == list(range(6))
    assert step.batch.clean_label.min() >= KNOWN_WRONG
    assert step.batch.label.min() >= 0
