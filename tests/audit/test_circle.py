"""Train, audit, clean, train again: what an audit writes is what data sets read."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from audit.files import part_seen, write_audit
from audit.record import Audit
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import UNKNOWN
from runs.build import build_data
from tests.audit.audits import some_audit
from tests.compose import settings
from tests.datamodules.test_folder import folder

ANY_NAME: Any = {"encoding": "utf-8", "errors": "surrogateescape"}
OPTIONS = {"confidence": 0.5, "label_next": 6, "parquet": False}


def audit_of(data: NoisyLabelDataModule) -> Audit:
    """Return one that doubts every third label, and is sure of half of what it suggests instead."""
    drawn = data.manifest
    count = len(drawn.train_rows)
    doubted, place = np.arange(count) % 3 == 0, np.arange(count)
    return some_audit(
        count,
        index=drawn.train_rows,
        given=drawn.given,
        clean=drawn.clean,
        suggested=np.where(doubted, (drawn.given + 1) % data.num_classes, drawn.given),
        trust=np.where(doubted, 0.2, 0.9),
        confidence=np.where(place % 2 == 0, 0.9, 0.3),
    )


def expected(audit: Audit) -> dict[int, int]:
    """Return row → label of what is trained on."""
    place = np.arange(len(audit.index))
    return {
        row: suggested if doubted else given
        for row, given, suggested, doubted, sure in zip(
            audit.index.tolist(),
            audit.given.tolist(),
            audit.suggested.tolist(),
            (place % 3 == 0).tolist(),
            (place % 2 == 0).tolist(),
            strict=True,
        )
        if sure or not doubted
    }


def digits(*overrides: str) -> NoisyLabelDataModule:
    data = build_data(settings(*overrides))
    data.setup()
    return data


def fill_in(path: Path, truth: dict[str, str]) -> None:
    """Write the right classes into a list of labels to check."""
    rows = list(csv.DictReader(path.open(**ANY_NAME)))
    with path.open("w", newline="", **ANY_NAME) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            where = row.get("path") or row["index"]
            writer.writerow({**row, "true_label": truth[where]})


def test_digits_are_trained_on_again(tmp_path: Path) -> None:
    first = digits("imbalance=4")
    audit = audit_of(first)
    write_audit(audit, first, tmp_path, OPTIONS)
    again = digits(f"labels={tmp_path}/labels_cleaned.npz", "noise=null", "seed=9")
    found = again.manifest
    assert dict(zip(found.train_rows.tolist(), found.given.tolist(), strict=True)) == expected(
        audit
    )
    assert np.array_equal(found.probe_rows, first.manifest.probe_rows)
    assert again.num_train == len(found.train_rows)


def test_checked_digits_join_the_probe(tmp_path: Path) -> None:
    first = digits()
    write_audit(audit_of(first), first, tmp_path, OPTIONS)
    drawn = first.manifest
    truth = dict(zip(map(str, drawn.train_rows), map(str, drawn.clean), strict=True))
    listed = tmp_path / "label_next.csv"
    fill_in(listed, truth)
    again = digits(f"dataset.trusted={listed}")
    found = again.manifest
    joined = set(found.probe_rows) - set(drawn.probe_rows)
    assert joined == {int(row["index"]) for row in csv.DictReader(listed.open())}
    assert len(joined) == 6
    assert set(found.probe_rows) & set(found.train_rows) == set()
    assert (again.num_train, again.num_probe) == (len(found.train_rows), len(found.probe_rows))
    stays = np.isin(drawn.train_rows, found.train_rows)
    assert np.array_equal(drawn.given[stays], found.given)  # the noise that was drawn, no other
    assert "106 probe (10 per class and 6 checked)" in found.describe()
    image, label = again.probe_set.all_examples.image, again.probe_set.label
    assert len(image) == len(label) == 106
    listed.write_text(f"index,true_label\n{drawn.probe_rows[0]},0\n")
    with pytest.raises(ValueError, match="in the probe already: draw as the run did"):
        digits(f"dataset.trusted={listed}")


@pytest.mark.parametrize("filled", ["index,true_label\n5,2\n6,\n", "index;Label\n", "\xff"])
def test_what_was_filled_in_is_not_written_over(
    tmp_path: Path, filled: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = digits()
    write_audit(audit_of(data), data, tmp_path, OPTIONS)
    listed = tmp_path / "label_next.csv"
    empty = listed.read_bytes()
    write_audit(audit_of(data), data, tmp_path, {**OPTIONS, "label_next": 3})
    assert len(listed.read_bytes()) < len(empty)
    assert "filled in" not in capsys.readouterr().err
    listed.write_text(filled, encoding="latin-1")
    write_audit(audit_of(data), data, tmp_path, OPTIONS)
    assert listed.read_text(encoding="latin-1") == filled
    assert "label_next.csv is filled in and stays" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,label\n1,2\n", "has no column true_label"),
        ("index,true_label\n1,twelve\n", "gives example 1 the class 'twelve': give one of 0, 1"),
        ("index,true_label\n-3,2\n", "lists example '-3': give whole numbers from 0 to 1296"),
        ("index,true_label\n1297,2\n", "lists example '1297'"),
        ("index,true_label\n5,2\n05,3\n", "names 5 more than once"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        build_data(settings(f"dataset.trusted={tmp_path}/list.csv"))


def test_not_everything_may_be_checked(tmp_path: Path) -> None:
    rows = "".join(f"{row},0\n" for row in range(1_197))
    (tmp_path / "list.csv").write_text(f"index,true_label\n{rows}")
    with pytest.raises(ValueError, match="lists 1,197 examples, and none is left to train on"):
        build_data(settings(f"dataset.trusted={tmp_path}/list.csv"))


@pytest.mark.parametrize("given", ["5", "[a.csv,5]"])
def test_a_list_is_a_file(given: str) -> None:
    with pytest.raises(ValueError, match=r"dataset\.trusted=.* is no file: give its path"):
        build_data(settings(f"dataset.trusted={given}"))


def test_checked_examples_that_cleaning_left_out_come_back(tmp_path: Path) -> None:
    first = digits()
    audit = audit_of(first)
    write_audit(audit, first, tmp_path, OPTIONS)
    kept, left_out = min(expected(audit)), min(set(audit.index.tolist()) - set(expected(audit)))
    (tmp_path / "list.csv").write_text(f"index,true_label\n{kept},3\n{left_out},4\n")
    cleaned = [f"labels={tmp_path}/labels_cleaned.npz", "noise=null"]
    before, after = digits(*cleaned), digits(*cleaned, f"dataset.trusted={tmp_path}/list.csv")
    assert after.num_train == len(after.manifest.train_rows) == before.num_train - 1
    assert after.num_probe == len(after.manifest.probe_rows) == before.num_probe + 2
    rows, label = after.manifest.probe_rows.tolist(), after.manifest.probe_label.tolist()
    trusted = dict(zip(rows, label, strict=True))
    assert (trusted[kept], trusted[left_out]) == (3, 4)


def test_an_example_that_imbalance_leaves_out_cannot_be_checked(tmp_path: Path) -> None:
    drawn = digits("imbalance=9").manifest
    known = set(drawn.train_rows.tolist()) | set(drawn.probe_rows.tolist())
    gone = min(set(range(1_297)) - known)
    (tmp_path / "list.csv").write_text(f"index,true_label\n{gone},3\n")
    with pytest.raises(ValueError, match=f"lists example {gone}, which imbalance=9 and"):
        digits("imbalance=9", f"dataset.trusted={tmp_path}/list.csv")


def test_a_list_nobody_filled_in_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("index,true_label\n5,\n6,\n")
    data = digits(f"dataset.trusted={tmp_path}/list.csv")
    assert (data.num_train, data.num_probe) == (1_197, 100)
    assert np.array_equal(data.manifest.given, digits().manifest.given)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    for number in range(60):
        # a name may be any bytes, and hold what CSV is made of
        name = f"{number}.png" if number < 15 else f'{number} ",\udcff.png'
        path = tmp_path / "zoo" / ("ape", "bee", "cow")[number % 3] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 8), (number, 2 * number, 3 * number)).save(path.open("wb"), "png")
    return tmp_path / "zoo"


def test_a_folder_is_trained_on_again(zoo: Path, tmp_path: Path) -> None:
    trusted = tmp_path / "checked.txt"
    trusted.write_text("".join(f"{('ape', 'bee', 'cow')[n % 3]}/{n}.png\n" for n in range(15)))
    first = folder(zoo, trusted=str(trusted))
    first.setup()
    audit = audit_of(first)
    write_audit(audit, first, tmp_path, OPTIONS)
    again = folder(zoo, labels=f"{tmp_path}/labels_cleaned.csv")
    again.setup()
    assert again.class_names == first.class_names
    paths, found = again.training_list.files.paths, again.manifest
    before = first.training_list.files.paths
    said = {paths[row]: label for row, label in zip(found.train_rows, found.given, strict=True)}
    assert said == {before[row]: label for row, label in expected(audit).items()}
    for one in (first, again):
        one.probe = {one.training_list.files.paths[row] for row in one.manifest.probe_rows}
        one.tested_on = set(one.tested_pictures())
    assert again.probe == first.probe
    assert again.tested_on == first.tested_on
    # what is not trusted is still unknown
    assert (found.clean == UNKNOWN).all()
    drawn = folder(zoo, trusted=str(trusted), labels=f"{tmp_path}/labels_cleaned.npz")
    drawn.setup()
    assert drawn.num_train == again.num_train
    # with a test split of its own, what is tested on stays, and so do the rows
    stays = f"{tmp_path}/labels_cleaned.csv"
    again.drawn_manifest.write(tmp_path / "again.npz")
    kept = again.training_list.files.paths[again.drawn_manifest.train_rows[0]]
    (tmp_path / "more.csv").write_text(
        'path,true_label\n"' + kept.replace('"', '""') + '",bee\n', **ANY_NAME
    )
    joined = folder(
        zoo, table=stays, labels=f"{tmp_path}/again.npz", trusted=f"{tmp_path}/more.csv"
    )
    assert (joined.num_probe, joined.num_train) == (again.num_probe + 1, again.num_train - 1)
    assert (
        joined.training_list.true[joined.drawn_manifest.probe_rows].tolist()
        == joined.drawn_manifest.probe_label.tolist()
    )
    fill_in(tmp_path / "label_next.csv", dict.fromkeys(before, "bee"))
    more = folder(
        zoo, labels=f"{tmp_path}/labels_cleaned.csv", trusted=f"{tmp_path}/label_next.csv"
    )
    assert more.num_probe == first.num_probe + 6
    assert more.num_train == again.num_train - 6 + left_out_among(tmp_path)


def test_what_a_short_run_did_not_see_is_trained_on_as_it_was_given(
    zoo: Path, tmp_path: Path
) -> None:
    first = folder(zoo)
    first.setup()
    every = audit_of(first)
    audit = Audit(*(column[10:] for column in every))
    results = write_audit(audit, first, tmp_path, OPTIONS)
    assert part_seen(results) == f"{len(every.index) - 10} of {len(every.index)}"
    given = dict(zip(every.index[:10].tolist(), every.given[:10].tolist(), strict=True))
    cleaned = {row: label for row, label in expected(every).items() if row not in given}
    before = first.training_list.files.paths
    for file in ("labels_cleaned.csv", "labels_cleaned.npz"):
        again = folder(zoo, labels=f"{tmp_path}/{file}")
        found = again.drawn_manifest
        paths = again.training_list.files.paths
        said = {paths[row]: label for row, label in zip(found.train_rows, found.given, strict=True)}
        assert said == {before[row]: label for row, label in (given | cleaned).items()}


def test_what_was_checked_and_is_not_in_the_probe_stays_as_it_was_checked(
    zoo: Path, tmp_path: Path
) -> None:
    names = ("ape", "bee", "cow")
    # every third is in the wrong folder
    truth = {f"{names[n % 3]}/{n}.png": names[(n + (n % 9 < 3)) % 3] for n in range(15)}
    rows = [f"{path},{name}" for path, name in truth.items()]
    (tmp_path / "checked.csv").write_text("\n".join(["path,true_label", *rows]))
    one = {"probe_per_class": 1}
    first = folder(zoo, trusted=f"{tmp_path}/checked.csv", **one)
    first.setup()
    assert first.num_probe == 3
    write_audit(audit_of(first), first, tmp_path, {**OPTIONS, "label_next": 100})
    trusted = {first.paths[row]: label for row, label in zip(*first.checked(), strict=True)}
    assert len(trusted) > 3
    table = folder(zoo, labels=f"{tmp_path}/labels_cleaned.csv", **one)
    drawn = folder(zoo, labels=f"{tmp_path}/labels_cleaned.npz", trusted=f"{tmp_path}/checked.csv")
    for again in (table, drawn):
        found = again.drawn_manifest
        given = [*found.given.tolist(), *found.probe_label.tolist()]
        rows = [*found.train_rows.tolist(), *found.probe_rows.tolist()]
        said = {again.paths[row]: label for row, label in zip(rows, given, strict=True)}
        assert {path: said[path] for path in trusted} == trusted
    again = {table.paths[row]: label for row, label in zip(*table.checked(), strict=True)}
    assert again == trusted
    listed = csv.DictReader((tmp_path / "label_next.csv").open(**ANY_NAME))
    unchecked = {first.paths[row] for row in first.drawn_manifest.train_rows} - trusted.keys()
    assert {row["path"] for row in listed} == unchecked


def test_what_cannot_be_read_is_in_no_list_to_check_and_not_trained_on(
    zoo: Path, tmp_path: Path
) -> None:
    written = [next(zoo.glob(f"*/{number}[. ]*")) for number in (0, 1, 2, 16)]
    for path in written:
        path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    first = folder(zoo)
    first.setup()
    unread = first.unread(first.manifest.train_rows)
    broken = {first.paths[row] for row in first.manifest.train_rows[unread]}
    tested = {path for path, *_ in first.tested_pictures()}
    assert broken == {path.relative_to(zoo).as_posix() for path in written} - tested
    assert broken
    results = write_audit(
        audit_of(first).subset(~unread), first, tmp_path, {**OPTIONS, "label_next": 100}
    )
    assert part_seen(results) == ""  # nothing more could be seen
    for file in ("labels.csv", "label_next.csv"):
        listed = {row["path"] for row in csv.DictReader((tmp_path / file).open(**ANY_NAME))}
        assert listed == {first.paths[row] for row in first.manifest.train_rows} - broken
    for file in ("labels_cleaned.csv", "labels_cleaned.npz"):
        again = folder(zoo, labels=f"{tmp_path}/{file}")
        assert not broken & {again.paths[row] for row in again.drawn_manifest.train_rows}


def test_what_was_left_out_stays_in_the_list_round_after_round(zoo: Path, tmp_path: Path) -> None:
    """A class that is left out altogether is none any more, which is said; and may be checked."""
    first = folder(zoo)
    first.setup()
    audit = audit_of(first)
    cows = audit.given == 2
    audit = audit._replace(
        trust=np.where(cows, 0.1, audit.trust), confidence=np.where(cows, 0.2, audit.confidence)
    )
    write_audit(audit, first, tmp_path, OPTIONS)
    listed = (tmp_path / "labels_cleaned.csv").read_text(**ANY_NAME)
    # nothing else is called a cow either, but in the test set
    lines = [
        line
        for line in csv.DictReader(listed.splitlines())
        if "cow" not in (line["label"], line["true_label"])
    ]
    with (tmp_path / "round1.csv").open("w", newline="", **ANY_NAME) as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    left_out = {line["path"]: line["given_label"] for line in lines if not line["label"]}
    assert set(left_out.values()) == {"ape", "bee", "cow"}

    def next_round(labels: Path) -> tuple[Any, dict[str, dict[str, str]]]:
        again = folder(zoo, labels=str(labels))
        again.setup()
        assert again.class_names == ("ape", "bee")
        assert any("left out all pictures of these classes" in note for note in again.notes)
        write_audit(audit_of(again), again, tmp_path, OPTIONS)
        file = (tmp_path / "labels_cleaned.csv").read_text(**ANY_NAME)
        return again, {row["path"]: row for row in csv.DictReader(file.splitlines())}

    second, rows = next_round(tmp_path / "round1.csv")
    assert not set(left_out) & set(second.paths)
    for path, given in left_out.items():
        assert list(rows[path].values()) == [
            path, "", "train", "no", "", given, "", "", "left out"
        ]  # fmt: skip
    assert set(rows) == {line["path"] for line in lines}
    (tmp_path / "labels_cleaned.csv").rename(tmp_path / "round2.csv")
    _, third = next_round(tmp_path / "round2.csv")
    assert {path: third[path] for path in left_out} == {path: rows[path] for path in left_out}
    cow = next(path for path, given in left_out.items() if given == "cow")
    with (tmp_path / "checked.csv").open("w", newline="", **ANY_NAME) as file:
        csv.writer(file).writerows([["path", "true_label"], [cow, "cow"]])
    back = folder(zoo, labels=f"{tmp_path}/round2.csv", trusted=f"{tmp_path}/checked.csv")
    assert back.class_names == ("ape", "bee", "cow")
    assert not any("left out all" in note for note in back.notes)


def audit_of_tests(data: NoisyLabelDataModule) -> Audit:
    """Return one that doubts every test label that nobody checked, and is sure of another."""
    examples = data.unchecked_test_set()
    index, given = examples.index.numpy(), examples.label.numpy()
    return some_audit(
        len(index),
        index=index,
        given=given,
        clean=np.full(len(index), UNKNOWN),
        suggested=(given + 1) % data.num_classes,
        trust=np.linspace(0.1, 0.3, len(index)),
        confidence=np.full(len(index), 0.99),
    )


def test_doubtful_test_labels_are_listed_checked_and_tested_on_still(
    zoo: Path, tmp_path: Path
) -> None:
    names = ("ape", "bee", "cow")
    first = folder(zoo)
    first.setup()
    tested, before = (
        audit_of_tests(first),
        {path: label for path, label, _ in first.tested_pictures()},
    )
    assert len(tested.index) == len(before) > 6
    write_audit(audit_of(first), first, tmp_path, {**OPTIONS, "label_next": 30}, tested)
    doubted = [
        row["path"] for row in csv.DictReader((tmp_path / "labels_test.csv").open(**ANY_NAME))
    ]
    assert set(doubted) == set(before)
    cleaned = {
        row["path"]: row
        for row in csv.DictReader((tmp_path / "labels_cleaned.csv").open(**ANY_NAME))
    }
    for path, label in before.items():  # suggested something, and kept
        row, other = cleaned[path], names[(label + 1) % 3]
        assert (row["action"], row["split"], row["trusted"]) == ("tested on", "test", "no")
        assert (row["label"], row["given_label"], row["true_label"]) == (*[names[label]] * 2, "")
        assert (row["suggested_label"], row["confidence"]) == (other, "0.9900")
    uncorrected = folder(zoo, labels=f"{tmp_path}/labels_cleaned.csv")
    assert {path: label for path, label, _ in uncorrected.tested_pictures()} == before
    listed = list(csv.DictReader((tmp_path / "label_next.csv").open(**ANY_NAME)))
    assert len(listed) == 30
    marked = [row["path"] for row in listed if row["tested"] == "yes"]
    assert marked == doubted[:6]
    # all turn out to be bees
    fill_in(tmp_path / "label_next.csv", {row["path"]: "bee" for row in listed})
    trusted = f"{tmp_path}/label_next.csv"
    for again in (
        folder(zoo, trusted=trusted),
        folder(zoo, trusted=trusted, labels=f"{tmp_path}/labels_cleaned.csv"),
    ):
        again.setup()
        found = {path: (label, right) for path, label, right in again.tested_pictures()}
        assert set(found) >= set(before)
        assert {path for path, (_, right) in found.items() if right} == set(marked)
        assert all(found[path] == (1, True) for path in marked)
        assert all(found[path][0] == before[path] for path in set(before) - set(marked))
        trained = {again.paths[row] for row in again.manifest.train_rows}
        probe = {again.paths[row] for row in again.manifest.probe_rows}
        assert not (trained | probe) & set(found)
        assert probe <= {row["path"] for row in listed} - set(marked)
        assert set(np.asarray(again.test_sets["test"].label)) <= {0, 1, 2}
        left = {row.item() for row in again.unchecked_test_set().index}
        assert left == {
            row for row, (_, _, right) in enumerate(again.tested_pictures()) if not right
        }


def test_a_list_of_test_labels_goes_when_no_test_label_is_judged(zoo: Path, tmp_path: Path) -> None:
    data = folder(zoo)
    data.setup()
    parquet = {**OPTIONS, "parquet": True}
    write_audit(audit_of(data), data, tmp_path, parquet, audit_of_tests(data))
    assert {"labels_test.csv", "labels_test.parquet"} <= {path.name for path in tmp_path.iterdir()}
    write_audit(audit_of(data), data, tmp_path, OPTIONS)
    assert not list(tmp_path.glob("labels_test.*"))
    assert "tested" not in (tmp_path / "label_next.csv").read_text(**ANY_NAME).splitlines()[0]


def test_the_truth_of_drawn_noise_is_not_used(tmp_path: Path) -> None:
    data = digits()
    assert len(data.checked().row) == 0
    audit = audit_of(data)
    write_audit(audit, data, tmp_path, OPTIONS)
    actions = [row["action"] for row in csv.DictReader((tmp_path / "labels_cleaned.csv").open())]
    assert actions.count("trusted") == data.num_probe


def left_out_among(folder: Path) -> int:
    """Return how many of the labels to check next are left out of the cleaned list."""
    cleaned = csv.DictReader((folder / "labels_cleaned.csv").open(**ANY_NAME))
    left_out = {row["path"] for row in cleaned if row["action"] == "left out"}
    listed = csv.DictReader((folder / "label_next.csv").open(**ANY_NAME))
    return sum(row["path"] in left_out for row in listed)
