"""A run on one's own pictures is judged by what it was trained on, whatever lists say since."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runs.audit import audit
from runs.evaluate import evaluate
from runs.settings import Settings
from runs.training import train
from tests.compose import settings


def command(mode: Callable[[Settings], dict[str, Any]], *words: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *words])
        return mode(settings(*words))


def trained(run_dir: str, *words: str) -> dict[str, Any]:
    quick = ("logger=none", "trainer=cpu", "method=supervised", "model=resnet11", "max_steps=4")
    small = ("dataset=folder", "data_dir=photos", "dataset.image_size=8", "batch_size=8")
    return command(train, *quick, *small, f"run_dir={run_dir}", *words)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(45):
        path = Path("photos", "abc"[number % 3], f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    with Path("checked.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "true_label"])
        rows.writerows(
            [f"{'abc'[number % 3]}/{number}.png", "abc"[number % 3]] for number in (0, 1, 2)
        )


def grown() -> None:
    shutil.copytree("photos/a", "photos/d")


def filled_in() -> None:
    with Path("checked.csv").open("a") as file:
        file.write("a/3.png,b\n")


def moved() -> None:
    Path("checked.csv").rename("elsewhere.csv")


@pytest.mark.parametrize("change", [grown, filled_in, moved])
def test_it_may_be_judged_after_lists_or_folders_changed(
    photos: None, change: Callable[[], None]
) -> None:
    before = trained("run", "dataset.trusted=checked.csv")
    change()
    judged = command(evaluate, "mode=evaluate", "checkpoint=run")
    assert judged["test/acc"] == before["test/acc_last"]
    assert command(audit, "mode=audit", "checkpoint=run")["test/acc_last"] == judged["test/acc"]
    if change is filled_in:  # training, which it would change, is another run
        with pytest.raises(ValueError, match="The data drawn now differ"):
            trained("run", "dataset.trusted=checked.csv")


def test_what_another_run_drew_or_cleaned_may_be_written_anew(photos: None) -> None:
    trained("first", "dataset.trusted=checked.csv")
    ends = {
        "by_name": trained("by_name", "labels=first/labels_cleaned.csv"),
        "by_row": trained("by_row", "labels=first/labels.npz", "dataset.trusted=checked.csv"),
    }
    Path("first").rename("gone")
    for run, before in ends.items():
        assert (
            command(evaluate, "mode=evaluate", f"checkpoint={run}")["test/acc"]
            == (before["test/acc_last"])
        )


def test_a_damaged_listing_is_told(photos: None) -> None:
    trained("run")
    listing = Path("run/listing.json")
    cut_short = listing.read_text()[:50]
    for damage in (cut_short, "", "{}", "[]", "[5]", "[[1, 2]]", "[null]", '[["a"]]'):
        listing.write_text(damage)
        with pytest.raises(
            ValueError, match=r"run/listing\.json is damaged \(.+\): put it back, or"
        ):
            command(evaluate, "mode=evaluate", "checkpoint=run")
    listing.unlink()  # as the message says
    assert command(evaluate, "mode=evaluate", "checkpoint=run")["steps"] == 4


def test_without_the_runs_folder_a_change_is_told(photos: None) -> None:
    trained("run")
    shutil.copy("run/checkpoints/last.ckpt", "alone.ckpt")
    assert command(evaluate, "mode=evaluate", "checkpoint=alone.ckpt")["steps"] == 4
    grown()
    with pytest.raises(ValueError, match=r"other pictures or labels .* has changed since"):
        command(evaluate, "mode=evaluate", "checkpoint=alone.ckpt")


def test_labels_of_images_in_memory_are_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("mine.npy", np.arange(1297) % 10)
    words = ("logger=none", "trainer=cpu", "method=supervised", "max_steps=2", "noise=null")
    before = command(train, *words, "labels=mine.npy", "run_dir=run")
    Path("mine.npy").unlink()
    judged = command(evaluate, "mode=evaluate", "checkpoint=run")
    assert judged["test/acc"] == before["test/acc_last"]


def test_results_say_which_test_set_it_was(photos: None) -> None:
    first = trained("first", "dataset.trusted=checked.csv")["data/tested_hash"]
    assert first == trained("seeded", "dataset.trusted=checked.csv", "seed=2")["data/tested_hash"]
    # what was cleaned is tested on the same pictures, as the same classes
    assert first == trained("cleaned", "labels=first/labels_cleaned.csv")["data/tested_hash"]
    grown()
    assert first == command(audit, "mode=audit", "checkpoint=first")["data/tested_hash"]
    assert first != trained("grown", "dataset.trusted=checked.csv")["data/tested_hash"]


def test_results_say_on_how_many_checked_pictures_it_was_tested(
    photos: None, capsys: pytest.CaptureFixture[str]
) -> None:
    results = trained("run", "dataset.trusted=checked.csv")
    size = results["data/tested"]
    assert 3 <= size < 20
    checked = results["data/tested_checked"]  # of three that were checked
    assert 0 <= checked <= 3
    said = capsys.readouterr().out
    assert f"of {size} images, {checked} with checked labels" in said
    assert f"{size} pictures are held out of training to test on, {checked} of them" in said


def listed_tests(run_dir: str) -> list[dict[str, str]]:
    with Path(run_dir, "labels_test.csv").open() as file:
        return list(csv.DictReader(file))


def test_unchecked_test_labels_are_judged_by_training_and_by_an_audit(
    photos: None, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = trained("first", "max_steps=6")
    lists = ("labels_test.csv", "label_next.csv", "labels_cleaned.csv")
    written = {name: Path("first", name).read_bytes() for name in lists}
    for name in lists:
        Path("first", name).unlink()
    again = command(audit, "mode=audit", "checkpoint=first")
    assert {name: Path("first", name).read_bytes() for name in lists} == written
    listed = listed_tests("first")
    assert len(listed) == again["data/tested"]
    doubted = sum(float(row["trust"]) < 0.5 for row in listed)
    assert again["data/tested_suspicious"] == shown["data/tested_suspicious"] == doubted
    assert f", {doubted} with suspicious ones" in capsys.readouterr().out
    assert "Doubtful test labels" in Path("first/report.html").read_text()
    # a picture that cannot be read any more is not judged
    Path("photos", listed[0]["path"]).write_bytes(b"no picture")
    command(audit, "mode=audit", "checkpoint=first")
    left = {row["path"] for row in listed_tests("first")}
    assert left == {row["path"] for row in listed[1:]}


def test_a_run_that_saw_only_a_part_judges_no_test_label(photos: None) -> None:
    assert trained("short", "max_steps=1")["data/tested_suspicious"] is None
    assert not Path("short/labels_test.csv").exists()
    judged = command(audit, "mode=audit", "checkpoint=short")
    assert len(listed_tests("short")) == judged["data/tested"]
