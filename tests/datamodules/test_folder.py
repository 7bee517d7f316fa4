import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.folder import Folder
from datamodules.held_out import _name_hash
from datamodules.manifest import Manifest

SETTINGS = {
    "name": "folder",
    "noise": None,
    "noise_model": None,
    "imbalance": 1,
    "probe_per_class": None,
    "batch_size": 4,
    "eval_batch_size": 4,
    "augment": "autoaugment",
    "flip": True,
    "image_size": 8,
    "pictures": "whole",
    "seed": 1,
}


FIRST = Path("outputs/zoo-label_these_first.csv")


def folder(path: Path, **changes) -> Folder:
    return Folder(folder=path, **{**SETTINGS, **changes})


def picture(path: Path, value: int, size=(10, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_herds(path: Path) -> None:
    """Write 120 pictures of three classes in turn."""
    for number in range(120):
        picture(path / "abc"[number % 3] / f"{number}.png", number)


def first_list() -> list[dict[str, str]]:
    """Return the rows of the list of what to label first."""
    return list(csv.DictReader(FIRST.read_text().splitlines()))


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """6 apes, 5 bees and 4 cows; the first pixel of picture n is 10 n."""
    names = [*["ape"] * 6, *["bee"] * 5, *["cow"] * 4]
    for number, name in enumerate(names):
        picture(tmp_path / "zoo" / name / f"{number}.png", 10 * number)
    (tmp_path / "zoo" / "ape" / "notes.txt").write_text("not a picture")
    (tmp_path / "zoo" / ".hidden").mkdir()
    return tmp_path / "zoo"


def rows_of(data: Folder) -> dict[str, str]:
    return {
        path: data.class_names[label]
        for path, label in zip(
            data.training_list.files.paths, data.training_list.given, strict=True
        )
    }


def test_folders_are_classes(zoo: Path) -> None:
    data = folder(zoo)
    assert data.class_names == ("ape", "bee", "cow")
    assert data.num_probe == 0
    # about a fifth of each class is held out, at least one
    assert np.bincount(data.test_lists["test"].label).tolist() == [2, 1, 1]
    assert data.num_train == 11
    assert all(path.startswith(name) for path, name in rows_of(data).items())
    assert data.notes[0] == "1 files are no pictures by their names, and left out: .txt (1)"
    assert "0 of them with trusted labels; the others may be" in data.notes[1]
    tested = set(data.test_lists["test"].files.paths)
    assert not tested & set(data.training_list.files.paths)
    assert tested == set(folder(zoo, seed=2).test_lists["test"].files.paths)


def hash_of_test_set(path: Path, **changes) -> str:
    data = folder(path, **changes)
    data.setup()
    return data.test_set_hash


def test_the_hash_says_which_pictures_are_tested_on_and_as_what(zoo: Path, tmp_path: Path) -> None:
    head, tested = "path,label,split", ["ape/0.png,ape,test", "bee/6.png,bee,test"]
    train = ["ape/1.png,ape,train", "bee/7.png,bee,train", "cow/11.png,cow,train"]

    def hash_of(*rows: str, path: Path = zoo, **changes) -> str:
        labels = table(tmp_path / "labels.csv", head, *rows)
        return hash_of_test_set(path, labels=str(labels), **changes)

    known = hash_of(*tested, *train)
    listed = b'[["ape/0.png", "ape"], ["bee/6.png", "bee"]]'
    assert known == hashlib.sha256(listed).hexdigest()[:8]
    assert known == hash_of(*train[::-1], *tested[::-1], seed=2, image_size=9)
    # another class, which comes first, gives each class another number
    picture(zoo / "ant" / "1.png", 1)
    assert known == hash_of(*tested, *train, "ant/1.png,ant,train")
    zoo.rename(tmp_path / "moved")
    assert known == hash_of(*tested, *train, path=tmp_path / "moved")
    (tmp_path / "moved").rename(zoo)
    assert known != hash_of(tested[0], "bee/6.png,ape,test", *train)
    assert known != hash_of(*tested, "cow/12.png,cow,test", *train)
    assert known != hash_of(tested[0], "bee/8.png,bee,test", *train)


def test_the_hash_is_that_of_what_is_held_out(zoo: Path, tmp_path: Path) -> None:
    assert hash_of_test_set(zoo) == hash_of_test_set(zoo, seed=2)
    assert hash_of_test_set(zoo) != hash_of_test_set(zoo, test_share=0.5)
    data = folder(zoo)
    data.setup()
    data.save_for_evaluation(tmp_path)
    kept = hash_of_test_set(zoo, kept=tmp_path / "listing.json")
    assert kept == data.test_set_hash


def test_a_class_of_one_picture_is_trained_on(zoo: Path) -> None:
    picture(zoo / "dog" / "99.png", 99)
    data = folder(zoo)
    assert np.bincount(data.test_lists["test"].label, minlength=4).tolist() == [2, 1, 1, 0]
    assert "dog/99.png" in data.training_list.files.paths
    assert "NOTE: 1 of 4 classes have too few pictures to test on: dog" in data.notes


def test_who_checks_more_labels_is_tested_on_what_he_was(tmp_path: Path) -> None:
    """And on more; where half of the classes have enough, the others do not keep it from that."""
    write_herds(tmp_path / "zoo")
    paths = [f"{'abc'[number % 3]}/{number}.png" for number in range(120)]
    before: set[str] = set()
    for many in (30, 60, 90, 119):
        checked = tmp_path / f"{many}.txt"
        # of c, only two
        lines = [path for path in paths[:many] if path[0] != "c"] + paths[2:6:3]
        checked.write_text("\n".join(lines))
        data = folder(tmp_path / "zoo", trusted=str(checked))
        tested = set(data.test_lists["test"].files.paths)
        assert before <= tested <= set(lines)
        assert len(tested) > len(before)
        assert sum(path[0] == "c" for path in tested) == 1
        before = tested
    assert 8 < len(before) < 24  # a fifth of 80 is 16, with a standard deviation of 3.6
    few = tmp_path / "few.txt"
    few.write_text("\n".join([path for path in paths if path[0] == "a"] + paths[1:4:3]))
    data = folder(tmp_path / "zoo", trusted=str(few))  # of one class in three there are enough
    assert not set(data.test_lists["test"].files.paths) <= set(few.read_text().split())


def test_checked_test_pictures_do_not_become_the_whole_test_set(tmp_path: Path) -> None:
    write_herds(tmp_path / "zoo")
    picture(tmp_path / "zoo" / "d" / "0.png", 1)
    picture(tmp_path / "zoo" / "d" / "1.png", 2)
    before = folder(tmp_path / "zoo")
    tested = {path: label for path, label, _ in before.tested_pictures()}
    forced = next(path for path in tested if path[0] == "d")
    corrected = {**dict.fromkeys(list(tested)[:6], "b"), forced: "a"}
    # enough training pictures are checked for a test set of checked ones alone
    rows = [f"{path},{path[0]},no" for path in before.paths[::2] if path[0] != "d"]
    rows += [f"{path},{name},yes" for path, name in corrected.items()]
    rows += [f"{path},,yes" for path in list(tested)[6:8]]
    listed = table(tmp_path / "next.csv", "path,true_label,tested", *rows)
    again = folder(tmp_path / "zoo", trusted=str(listed))
    found = {path: (label, right) for path, label, right in again.tested_pictures()}
    assert found.keys() == tested.keys()
    for path, (label, right) in found.items():
        assert right == (path in corrected)
        assert again.class_names[label] == corrected.get(path, path[0])
    assert not set(found) & set(again.paths)
    # a list that does not say so: a test set of checked pictures, as ever
    rows = [row.rpartition(",")[0] for row in rows]
    plain = table(tmp_path / "plain.csv", "path,true_label", *rows)
    alone = folder(tmp_path / "zoo", trusted=str(plain)).tested_pictures()
    assert all(right for *_, right in alone)
    with pytest.raises(ValueError, match=r"says 'perhaps' in column tested, row 1: give one of"):
        folder(
            tmp_path / "zoo",
            trusted=str(table(tmp_path / "x.csv", "path,true_label,tested", "a/0.png,a,perhaps")),
        )


def test_tested_pictures_stay_whichever_of_several_lists_names_them(tmp_path: Path) -> None:
    write_herds(tmp_path / "zoo")
    before = folder(tmp_path / "zoo")
    tested = [path for path, *_ in before.tested_pictures()]
    plain = [f"{path},{path[0]}" for path in before.paths[::2]]
    marked = [f"{path},{path[0]},yes" for path in tested[:4]]
    lists = {
        "plain": table(tmp_path / "plain.csv", "path,true_label", *plain),
        "marked": table(tmp_path / "marked.csv", "path,true_label,tested", *marked),
        "more": table(tmp_path / "more.csv", "path,true_label,tested", f"{tested[5]},,yes"),
    }
    for order in (("plain", "marked", "more"), ("marked", "more", "plain"), ("more", "plain")):
        again = folder(tmp_path / "zoo", trusted=[str(lists[name]) for name in order])
        assert [path for path, *_ in again.tested_pictures()] == tested


def test_a_corrected_test_picture_leaves_its_class_one_to_train_on(tmp_path: Path) -> None:
    for number in range(60):
        picture(tmp_path / "zoo" / "abc"[number % 3] / f"{number}.png", number)
    alone = min((f"d/{number}.png" for number in range(100)), key=_name_hash)
    picture(tmp_path / "zoo" / alone, 1)
    before = folder(tmp_path / "zoo")
    assert "NOTE: 1 of 4 classes have too few pictures to test on: d" in before.notes
    tested = [path for path, *_ in before.tested_pictures()]
    assert _name_hash(alone) < min(map(_name_hash, tested))
    listed = table(tmp_path / "next.csv", "path,true_label,tested", f"{tested[0]},d,yes")
    again = folder(tmp_path / "zoo", trusted=str(listed))
    assert [path for path, *_ in again.tested_pictures()] == tested
    assert alone in again.paths
    assert not [note for note in again.notes if "too few" in note or "no picture" in note]


def test_rows_without_a_label_keep_their_split(zoo: Path, tmp_path: Path) -> None:
    rows = ["ape/0.png,ape,test,", "ape/1.png,ape,,", "bee/6.png,bee,,", "ape/2.png,,test,bee"]
    labels = table(
        tmp_path / "l.csv", "path,label,split,given_label", *rows, "ape/3.png,,train,cow"
    )
    assert folder(zoo, labels=str(labels)).unlabelled_pictures() == [
        ("ape/2.png", "test", "", "bee"),
        ("ape/3.png", "train", "", "cow"),
    ]


def test_what_was_kept_is_the_same_whatever_became_of_the_lists(zoo: Path, tmp_path: Path) -> None:
    (zoo / "ape" / "1.png").rename(zoo / "ape" / " 1\udcff,\n.png ")
    rows = [f"{path.parent.name}/{path.name}" for path in sorted(zoo.rglob("*.png*"))]
    checked = table(tmp_path / "checked.csv", "path,true_label", f"{rows[2]},cow", f"{rows[9]},bee")
    data = folder(zoo, trusted=str(checked))
    data.save_for_evaluation(tmp_path)
    checked.unlink()
    picture(zoo / "dog" / "new.png", 1)
    again = folder(zoo, trusted=str(checked), kept=tmp_path / "listing.json")
    assert again.drawn_manifest.hash == data.drawn_manifest.hash
    assert again.class_names == data.class_names
    for name, one in data.test_lists.items():
        assert again.test_lists[name].files == one.files
        assert np.array_equal(again.test_lists[name].label, one.label)
    assert again.tested_pictures() == data.tested_pictures()


def test_pictures_keep_their_labels(zoo: Path) -> None:
    data = folder(zoo)
    data.setup()
    batch = data.train_set.all_examples
    for image, label, row in zip(batch.image, batch.label, batch.index, strict=True):
        number = int(Path(data.paths[row]).stem)
        assert image[0, 0, 0] == 10 * number
        assert label == (number >= 6) + (number >= 11)


def test_split_folders(tmp_path: Path) -> None:
    for split, name, count in (("train", "a", 3), ("train", "b", 2), ("Val", "a", 1)):
        for number in range(count):
            picture(tmp_path / split / name / "deeper" / f"{number}.jpg", number)
    data = folder(tmp_path)
    assert (data.num_train, data.class_names, data.notes) == (5, ("a", "b"), [])
    assert data.test_lists["test"].files.paths == ["Val/a/deeper/0.jpg"]
    # without a folder of training pictures, val is a class as any other
    for name in ("val", "dog"):
        picture(tmp_path / "other" / name / "0.png", 0)
        picture(tmp_path / "other" / name / "1.png", 0)
    assert folder(tmp_path / "other").class_names == ("dog", "val")


def test_a_table_says_it_all(zoo: Path, tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv",
        "path;label;split;trusted;true_label",
        "ape/0.png;10;train;yes;",
        "ape/1.png;2;;no;10",
        "ape/2.png;2;;x;10",
        "bee/6.png;10;Train;;",
        "bee/7.png;2;test;;",
        "bee/8.png;2;test;;10",
    )
    data = folder(zoo, labels=str(file))
    assert data.class_names == ("2", "10")  # as people sort them
    assert data.training_list.given.tolist() == [1, 0, 0, 1]
    assert data.training_list.true.tolist() == [1, 1, 1, -1]
    assert data.training_list.trusted.tolist() == [True, False, True, False]
    assert data.test_lists["test"].label.tolist() == [0, 1]
    manifest = data.drawn_manifest
    assert [data.paths[row] for row in manifest.probe_rows] == ["ape/0.png", "ape/2.png"]
    assert manifest.probe_label.tolist() == [1, 1]
    assert manifest.clean.tolist() == [1, -1]
    assert manifest.effective_noise == 1.0  # the one that is known is wrong


def test_true_labels_are_trusted_where_nothing_else_says_who_is(zoo: Path, tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv",
        "path,label,true_label",
        *[f"ape/{number}.png,ape,{'bee' if number < 3 else 'ape'}" for number in range(6)],
        *[f"bee/{number}.png,bee,bee" for number in range(6, 11)],
    )
    data = folder(zoo, labels=str(file), probe_per_class=1)
    assert data.training_list.trusted.all()
    assert sorted(data.drawn_manifest.probe_label.tolist()) == [0, 1]
    assert data.notes[0].endswith(
        "3 pictures are held out of training to test on, 3 of them with trusted labels"
    )
    # trusted examples that are not in the probe are trained on with the label they came with
    assert data.num_train == len(data.training_list.given) - 2
    assert (data.drawn_manifest.given[data.drawn_manifest.clean == 1] == 0).sum() >= 1


def test_a_list_of_checked_pictures(zoo: Path, tmp_path: Path) -> None:
    plain = tmp_path / "checked.txt"
    plain.write_text("ape/0.png\n\ncow/11.png\n")
    listed = folder(zoo, trusted=str(plain)).training_list
    trusted = [listed.files.paths[row] for row in np.flatnonzero(listed.trusted)]
    assert set(trusted) <= {"ape/0.png", "cow/11.png"}
    filled = table(
        tmp_path / "checked.csv", "path,label,true_label", "ape/1.png,ape,cow", "bee/6.png,bee,"
    )
    listed = folder(zoo, trusted=str(filled)).training_list
    row = listed.files.paths.index("ape/1.png")
    assert (listed.given[row], listed.true[row], listed.trusted.sum()) == (0, 2, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["ape/0.png,cwo"], r"gives ape/0\.png the class 'cwo', .* give one of ape, bee, cow\."),
        (["ape/0.png,2"], "the class '2'"),
        (["ape/0.png,cow", "ape/0.png,bee"], r"names ape/0\.png more than once"),
        (["dog/0.png,cow"], r"names 1 pictures that are not in the data set, such as dog/0\.png"),
    ],
)
def test_slips_in_a_list_of_checked_pictures(
    zoo: Path, tmp_path: Path, rows: list[str], message: str
) -> None:
    listed = table(tmp_path / "checked.csv", "path,true_label", *rows, "bee/6.png,")
    with pytest.raises(ValueError, match=message):
        folder(zoo, trusted=str(listed))


def test_checked_pictures_that_the_probe_does_not_take_are_noted(zoo: Path, tmp_path: Path) -> None:
    rows = [f"{path.parent.name}/{path.name},cow" for path in sorted((zoo / "ape").glob("*.png"))]
    rows += ["bee/6.png,ape", "bee/7.png,bee"]
    trusted = str(table(tmp_path / "checked.csv", "path,true_label", *rows))
    data = folder(zoo, trusted=trusted, probe_per_class=0)
    row, label = data.checked()
    said = {data.paths[one]: data.class_names[of] for one, of in zip(row, label, strict=True)}
    assert said == {path: dict(one.split(",") for one in rows)[path] for path in said}
    assert data.notes[-1].startswith(
        f"the probe takes 0 of the {len(row)} training pictures that you checked "
        "(probe_per_class=0): the others are trained on with the labels they came with"
    )
    assert not any("the probe takes" in note for note in folder(zoo, trusted=trusted).notes)


def test_a_path_without_a_label_is_no_checked_picture(zoo: Path, tmp_path: Path) -> None:
    rows = ["path,label", "ape/0.png,", "ape/1.png,ape", "ape/2.png,ape", "bee/6.png,bee"]
    labels = str(table(tmp_path / "t.csv", *rows, "bee/7.png,bee"))
    listed = table(tmp_path / "checked.txt", "ape/1.png", "ape/0.png")
    with pytest.raises(ValueError, match=r"checked\.txt trusts ape/0\.png, which has no label"):
        folder(zoo, labels=labels, trusted=str(listed))


def test_what_to_label_first_is_written_down(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (zoo / "ape" / "0.png").rename(zoo / "ape" / "0\udcff.png")  # any bytes can be a name
    data = folder(zoo)
    said = data.advice_without_probe()
    path = FIRST
    assert f"dataset.trusted={path}" in said
    rows = list(csv.DictReader(path.open(encoding="utf-8", errors="surrogateescape")))
    assert [row["label"] for row in rows[:3]] == ["ape", "bee", "cow"]
    assert len({row["path"] for row in rows}) == len(rows) == 15  # all there are, held-out ones too
    assert {row["true_label"] for row in rows} == {""}
    (tmp_path / "other" / "zoo").mkdir(parents=True)
    for name in ("ox", "pig"):
        for number in range(3):
            picture(tmp_path / "other" / "zoo" / name / f"{number}.png", number)
    said = folder(tmp_path / "other" / "zoo").advice_without_probe()
    another = next(one for one in Path("outputs").iterdir() if one != path)
    assert f"dataset.trusted={another}" in said
    unfilled = folder(zoo, trusted=str(path))
    assert unfilled.num_probe == 0  # nothing is filled in yet
    assert "trusts no picture to train with" in unfilled.advice_without_probe()


def test_who_checks_the_suggested_pictures_is_tested_on_a_fifth_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_herds(tmp_path / "zoo")
    folder(tmp_path / "zoo").advice_without_probe()
    listed = first_list()
    for checked_per_class in (10, 5):  # half of the list will do, from its top
        checked = [f"{row['path']},{row['label']}" for row in listed[: 3 * checked_per_class]]
        data = folder(
            tmp_path / "zoo", trusted=str(table(tmp_path / "c.csv", "path,true_label", *checked))
        )
        tested, share = data.test_lists["test"].label, checked_per_class // 5
        assert np.bincount(tested).tolist() == [share] * 3
        assert all(right for *_, right in data.tested_pictures())
        assert data.num_probe == 3 * (checked_per_class - share)


def test_the_test_set_stays_when_the_first_list_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what was checked of it is a test set too."""
    monkeypatch.chdir(tmp_path)
    write_herds(tmp_path / "zoo")
    before = folder(tmp_path / "zoo")
    assert before.test_names == ("test",)
    before.advice_without_probe()
    rows = first_list()
    for count in (6, 25, 30):
        filled = [f"{row['path']},{row['label']},{row['tested']}" for row in rows[:count]]
        checked = table(tmp_path / "c.csv", "path,true_label,tested", *filled)
        data = folder(tmp_path / "zoo", trusted=str(checked))
        assert data.test_lists["test"].paths == before.test_lists["test"].paths
        expected = {row["path"] for row in rows[:count] if row["tested"] == "yes"}
        data.setup()
        part, whole = data.test_sets["checked"], data.test_sets["test"]
        paths = [data.test_lists["test"].paths[row] for row in part.index.tolist()]
        assert set(paths) == expected
        assert len(expected) == count // 5
        assert part.label.tolist() == ["abc".index(path[0]) for path in paths]
        # the same pictures, read once
        assert part.images is whole.images
        assert len(data.all_images) == 2
        assert torch.equal(part.all_examples.image, whole[part.index.numpy()].image)


def test_a_test_split_that_is_given_is_not_to_be_labelled_first(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{path},{path[:3]},{'test' if path in ('ape/0.png', 'bee/6.png') else 'train'}"
        for path in ("ape/0.png", "ape/1.png", "bee/6.png", "bee/7.png", "bee/8.png")
    ]
    data = folder(zoo, labels=str(table(tmp_path / "l.csv", "path,label,split", *rows)))
    data.advice_without_probe()
    listed = first_list()
    assert {row["path"] for row in listed} == {"ape/1.png", "bee/7.png", "bee/8.png"}


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_what_cannot_be_read_is_not_to_be_labelled_first(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: str
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = {"ape/1.png", "ape/2.png", *(f"cow/{number}.png" for number in range(11, 15))}
    for path in broken:
        (zoo / path).write_bytes(b"\x89PNG\r\n\x1a\n broken")
    data = folder(zoo, pictures=pictures)
    data.advice_without_probe()
    with FIRST.open() as file:
        listed = {row["path"] for row in csv.DictReader(file)}
    assert listed == {*data.paths, *data.test_lists["test"].paths} - broken


def test_a_list_of_what_to_label_first_that_is_filled_in_stays(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = folder(zoo)
    data.advice_without_probe()
    path = FIRST
    path.write_text(path.read_text().replace("bee,,no\n", "bee,bee,no\n", 1))
    work = path.read_text()
    assert ",bee,bee" in work
    assert f"is filled in: give dataset.trusted={path}" in data.advice_without_probe()
    assert path.read_text() == work
    assert folder(zoo, trusted=str(path)).num_probe == 1


def test_folders_may_be_links_and_their_names_in_any_form(zoo: Path, tmp_path: Path) -> None:
    (zoo / "bee").rename(tmp_path / "elsewhere")
    (zoo / "Ka\u0308fer ").symlink_to(tmp_path / "elsewhere")  # as a Mac spells it
    (zoo / "cow" / "again").symlink_to(zoo / "cow")  # has no end
    data = folder(zoo)
    assert data.class_names == ("K\u00e4fer", "ape", "cow")
    assert data.train_size + len(data.test_lists["test"].label) == 15
    path = next(path for path in data.training_list.files.paths if path.startswith("Ka"))
    checked = table(tmp_path / "t.csv", "path,true_label", f"{path},K\u00e4fer")
    assert folder(zoo, trusted=str(checked)).num_probe == 1


def test_one_picture_by_two_names_is_there_twice(zoo: Path, tmp_path: Path) -> None:
    rows = ["path,label", "ape/0.png,a", "./ape/0.png,a", "bee/6.png,b"]
    with pytest.raises(ValueError, match=r"names ape/0\.png more than once"):
        folder(zoo, labels=str(table(tmp_path / "t.csv", *rows)))


def test_lists_that_say_different_things_are_refused(zoo: Path, tmp_path: Path) -> None:
    lists = [
        str(table(tmp_path / name, "path,true_label", f"ape/1.png,{said}"))
        for name, said in (("1.csv", "ape"), ("2.CSV", "bee"))
    ]
    with pytest.raises(ValueError, match=r"ape/1\.png is 'ape' in .*1\.csv and 'bee' in .*2\.CSV"):
        folder(zoo, trusted=lists)
    assert folder(zoo, trusted=[lists[0], lists[0]]).training_list.trusted.sum() == 1


def test_what_a_stranger_would_want_to_know_is_noted(zoo: Path, tmp_path: Path) -> None:
    rows = [f"{path.parent.name}/{path.name}" for path in sorted(zoo.rglob("*.png"))]
    told = [f"{row},{row[:3]},{row[:3] if row[:3] != 'cow' else ''}" for row in rows]
    told[0] = told[0].removesuffix("ape") + "appe"
    listed = table(tmp_path / "t.csv", "path,label,true_label", *told)
    notes = folder(zoo, labels=str(listed), probe_per_class=None).notes
    assert notes[0] == "NOTE: in column true_label, but never in column label: appe: slips?"
    assert "NOTE: 1 of 4 classes have no trusted example: cow" in notes


def test_test_pictures_that_nobody_checked_are_noted(zoo: Path, tmp_path: Path) -> None:
    listed = table(
        tmp_path / "t.csv", "path,label,split,true_label", "ape/0.png,a,,", "bee/6.png,b,,",
        "ape/1.png,a,test,a", "bee/7.png,b,test,",
    )  # fmt: skip
    data = folder(zoo, labels=str(listed))
    assert data.notes == [
        "of 2 pictures to test on, 1 have labels that were checked; the others may be labelled "
        "wrongly"
    ]
    assert data.tested_pictures() == [("ape/1.png", 0, True), ("bee/7.png", 1, False)]


def test_nothing_to_test_on_and_nothing_to_train_on_are_said(zoo: Path, tmp_path: Path) -> None:
    rows = ["path,label", "ape/0.png,a", "bee/6.png,b"]
    with pytest.raises(ValueError, match="has no picture to test on"):
        folder(zoo, labels=str(table(tmp_path / "t.csv", *rows))).setup()
    rows = [
        "path,label,true_label,split",
        "ape/0.png,a,a,",
        "bee/6.png,b,b,",
        "cow/11.png,a,a,test",
    ]
    all_trusted = str(table(tmp_path / "u.csv", *rows))
    with pytest.raises(ValueError, match=r"all are trusted, .* give probe_per_class="):
        folder(zoo, labels=all_trusted)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["path,name", "ape/0.png,ape"], "has no column label .*it has path, name"),
        (["path,label", "ape/0.png,ape", "ape/0.png,bee"], r"names ape/0\.png more than once"),
        (["path,label,split", "ape/0.png,ape,dev"], "'dev' in column split, row 1"),
        (["path,label,trusted", "ape/0.png,ape,maybe"], "'maybe' in column trusted, row 1"),
        (["path,label", "ape/0.png,ape"], "has 1 classes"),
        (["path,label,trusted", "ape/0.png,,yes"], r"trusts ape/0\.png, which has no label"),
        (["path,label", "ape/0.png,ape,x"], "cannot be read as a table"),
    ],
)
def test_tables_that_say_nonsense(zoo: Path, tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        folder(zoo, labels=str(table(tmp_path / "t.csv", *rows)))


def test_a_table_in_latin_1_is_refused(zoo: Path, tmp_path: Path) -> None:
    picture(zoo / "bär.png", 0)
    rows = "path,label\nbär.png,bear\nape/0.png,ape\nape/1.png,ape\nbee/6.png,bee\n"
    (tmp_path / "t.csv").write_bytes(rows.encode("latin-1"))
    with pytest.raises(ValueError, match=r"names 'b\\udce4r\.png', .* save the table as UTF-8"):
        folder(zoo, labels=f"{tmp_path}/t.csv")
    (tmp_path / "t.txt").write_bytes("bär.png\n".encode("latin-1"))
    with pytest.raises(ValueError, match="names 1 pictures that are not in the data set"):
        folder(zoo, trusted=f"{tmp_path}/t.txt")


def test_settings_that_cannot_be(zoo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for changes, message in (
        ({"folder": tmp_path / "nowhere"}, "is no folder"),
        ({"folder": tmp_path / "empty"}, "has no pictures in folders of classes"),
        ({"noise": 0.4}, "noise=0.4 .* cannot be drawn"),
        ({"test_share": 1.0}, r"test_share=1\.0"),
        ({"test_share": "some"}, "test_share=some"),
        ({"image_size": "large"}, "image_size=large must be"),
        ({"pictures": "all"}, "pictures=all is not known: choose one of windows, whole"),
        ({"image_size": 4}, "image_size=4 must be"),
        ({"labels": str(tmp_path / "no.csv")}, r"labels=.*no\.csv is not there"),
        ({"trusted": str(tmp_path / "no.txt")}, r"dataset.trusted=.*no\.txt is not there"),
        ({"augment": "randaugment", "pictures": "windows"}, "augment=randaugment is not a strong"),
        ({"probe_per_class": 1}, r"probe_per_class=1 .* ape \(0\), bee \(0\), cow \(0\)"),
    ):
        with pytest.raises(ValueError, match=message):
            Folder(**{**SETTINGS, "folder": zoo, **changes})


def test_missing_pictures_are_named_before_training(zoo: Path, tmp_path: Path) -> None:
    file = table(
        tmp_path / "t.csv", "path,label,split", "ape/0.png,a,", "bee/6.png,b,", "no.png,a,test"
    )
    with pytest.raises(ValueError, match=r"1 of 1 test pictures .* are missing below .*: no\.png"):
        folder(zoo, labels=str(file)).setup()


def test_the_labels_of_another_run(zoo: Path, tmp_path: Path) -> None:
    plain = tmp_path / "checked.txt"
    plain.write_text("ape/0.png\nbee/6.png\ncow/11.png\nape/1.png\n")
    data = folder(zoo, trusted=str(plain))
    data.drawn_manifest.save(tmp_path / "run")
    again = folder(zoo, trusted=str(plain), labels=str(tmp_path / "run" / "labels.npz"))
    assert again.drawn_manifest.hash == Manifest.load(tmp_path / "run" / "labels.npz").hash
    # more pictures, and each row may be another
    for number in range(100, 103):
        picture(zoo / "ape" / f"{number}.png", 7)
    with pytest.raises(ValueError, match="but the rows are other pictures now"):
        folder(zoo, trusted=str(plain), labels=f"{tmp_path}/run/labels.npz")


def test_what_cannot_be_read_is_grey_and_noted(zoo: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (zoo / "ape" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    data = folder(zoo)
    data.setup()
    assert {Path(name).name for name in data.unreadable.seen} == {"1.png", "2.png", "3.png"}
    batch = data.train_set.all_examples
    grey = [data.paths[row] for row in batch.index[(batch.image == 128).flatten(1).all(1)]]
    assert set(grey) == {
        path for path in data.paths if Path(path).name in ("1.png", "2.png", "3.png")
    }


def test_windows_are_read_at_every_step(zoo: Path) -> None:
    data = folder(zoo, pictures="windows", augment="none")
    data.setup()
    drawn = next(iter(data.train_dataloader()))
    assert drawn.train.image.shape == (4, 1, 3, 8, 8)
    assert drawn.train.image.dtype == torch.uint8
    for window, row in zip(drawn.train.image[:, 0], drawn.train.index, strict=True):
        assert (window == 10 * int(Path(data.paths[row]).stem)).all()
