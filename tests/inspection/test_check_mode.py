"""`mode=check`: planted problems are found and counted exactly, and the exit code follows."""

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import train
from inspection import check_mode
from runs.build import build_data
from runs.check import check_settings
from runs.settings import Settings
from tests.compose import CONF, settings

QUICK = ("mode=check", "trainer=cpu", "logger=csv", "model=resnet11", "max_steps=3")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `outputs/` is made."""
    monkeypatch.chdir(tmp_path)


def picture(path: Path, seed: int, side: int = 8, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **how)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def folder(*overrides: str) -> Settings:
    made = settings(
        *QUICK,
        *("dataset=folder", "data_dir=pictures", "batch_size=4", "dataset.image_size=8"),
        *overrides,
    )
    check_settings(made)
    return made


def planted(*changes: tuple[str, str]) -> None:
    """Make pictures of two classes, with one problem of each kind, and the table of them.

    Args:
        changes: (old, new) texts of the table.
    """
    root, rows = Path("pictures"), []
    for number in range(24):
        label, split = ("cat", "dog")[number % 2], "test" if number < 4 else "train"
        true = label if 4 <= number < 10 else ""
        rows.append(f"{number}.png,{label},{split},{true}")
        picture(root / f"{number}.png", number)
    extra = [
        ("copy_of_20.bmp", 20, "cat", "train"),  # harmless
        ("copy_of_21.png", 21, "cat", "train"),  # 21 is a dog: noise
        ("test_1.png", 1, "dog", "train"),  # a leak
        ("probe_5.png", 5, "dog", "train"),  # a smaller one
    ]
    for name, seed, label, split in extra:
        picture(root / name, seed)
        rows.append(f"{name},{label},{split},")
    cut(picture(root / "cut.jpg", 50, side=64, quality=95))
    (root / "empty.png").write_bytes(b"")
    rows += ["cut.jpg,cat,train,", "empty.png,cat,test,", "none.png,dog,train,"]
    rows += ["not_either.png,cat,test,"]
    # a trusted picture whose given label was wrong, and which is in the test set
    picture(root / "test_3.png", 3)
    rows.append("test_3.png,cat,train,dog")
    text = "\n".join(["path,label,split,true_label", *rows])
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path("table.csv").write_text(text)


PLANTED = {
    ("none.png", "noisy", "missing"),
    ("not_either.png", "test", "missing"),
    ("cut.jpg", "noisy", "unreadable"),
    ("empty.png", "test", "unreadable"),
    ("copy_of_20.bmp", "noisy", "copy_same_label"),
    ("21.png", "noisy", "copy_other_label"),
    ("copy_of_21.png", "noisy", "copy_other_label"),
    ("test_1.png", "noisy", "leak"),
    ("probe_5.png", "noisy", "leak"),
    ("test_3.png", "probe", "leak"),
}


def listed(name: str = "folder") -> list[dict[str, str]]:
    with Path(f"outputs/check-{name}/check_problems.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def found(name: str = "folder") -> dict[str, Any]:
    return dict(json.loads(Path(f"outputs/check-{name}/check.json").read_text()))


def errors(made: Settings) -> list[str]:
    """Check, and return why training should not start."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        check_mode.check(made)
    return str(refused.value).split("\nerror: ")


def test_every_planted_problem_is_listed_once_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted()
    (error,) = errors(folder("labels=table.csv", "method=ieg"))
    assert error.startswith("Missing pictures: 2 of 33 (1 noisy, 1 test), such as ")
    assert "pictures/none.png" in error
    assert {(row["path"], row["split"], row["problem"]) for row in listed()} == PLANTED
    assert len(listed()) == len(PLANTED)
    detail = {row["path"]: row["detail"] for row in listed()}
    assert detail["21.png"] == "the same as copy_of_21.png (noisy, cat)"
    assert detail["probe_5.png"] == "also in probe: 5.png (probe, dog)"
    assert "truncated" in detail["cut.jpg"]

    said = found()
    assert (said["would_start"], said["errors"]) == (False, [error])
    assert (said["missing"], said["unreadable"]) == ({"noisy": 1, "test": 1},) * 2
    assert said["leaks"] == {"noisy_in_probe": 1, "noisy_in_test": 1, "probe_in_test": 1}
    assert said["copies_with_same_label"] == {"noisy": 1}
    assert said["copies_with_other_label"] == {"noisy": 2}
    assert said["wrong_among_trusted"] == pytest.approx(1 / 7)
    classes = {row["class"]: row for row in said["classes"]}
    assert [classes["cat"][split] for split in ("noisy", "probe", "test")] == [10, 3, 4]
    assert [classes["dog"][split] for split in ("noisy", "probe", "test")] == [10, 4, 2]
    assert classes["cat"]["wrong_of_given"] == 0.25  # one of four trusted
    # there is no picture missing among those that steps are timed with
    assert said["estimate"]["memory_bytes_for_pictures"] == (27 + 6) * 3 * 8 * 8

    text = capsys.readouterr().out
    assert "LEAK: 1 of 20 noisy pictures should not be trained on: they are also in test" in text
    assert "21.png (noisy, dog) is copy_of_21.png (noisy, cat)" in text
    assert "training would start" not in text


def test_what_is_not_missing_does_not_keep_training_from_starting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted(("none.png,dog,train,\n", ""), ("not_either.png,cat,test,\n", ""))
    results = check_mode.check(folder("labels=table.csv", "method=supervised", "run_dir=run"))
    assert results["check"] == "outputs/check-folder/check.json"
    assert found()["would_start"] is True
    assert found()["errors"] == []
    assert len(listed()) == len(PLANTED) - 2
    assert capsys.readouterr().out.splitlines()[-1] == "mode=check: training would start."
    assert not Path("run").exists()
    assert not list(Path("outputs").glob("folder*"))


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    planted(("0.png,cat,test", "0.png,DOG,test"), ("cat,train,cat", "cat,train,"))
    for old in ("dog,train,dog", "cat,train,dog"):
        text = Path("table.csv").read_text()
        Path("table.csv").write_text(text.replace(old, old.rpartition(",")[0] + ","))
    missing, untrusted = errors(folder("labels=table.csv", "method=ieg"))
    assert missing.startswith("Missing pictures: 2 of 33")
    (untrained,) = (line for line in found()["warnings"] if "nothing to train" in line)
    assert untrained.startswith("nothing to train on in 1 of 3 classes (DOG)")
    assert untrusted.startswith("There are no trusted examples")
    (one,) = (line for line in found()["warnings"] if "differ by case" in line)
    assert "'DOG' and 'dog'" in one
    assert "estimate" not in found()


def test_a_network_that_does_not_fit_is_in_the_way() -> None:
    net = ("model=torchvision", "model.net.name=squeezenet1_0")  # its pools need more than 8x8
    with pytest.raises(ValueError, match="cannot be trained on pictures of 8x8"):
        check_mode.check(settings("mode=check", "trainer=cpu", "logger=csv", *net))


def test_without_a_trusted_label_it_says_which_to_check_first() -> None:
    for number in range(8):
        picture(Path(f"pictures/{'ab'[number % 2]}/{number}.png"), number)
    (error,) = errors(folder("method=l2r"))
    assert "outputs/pictures-label_these_first.csv lists which to check first" in error
    assert Path("outputs/pictures-label_these_first.csv").exists()


def test_of_many_copies_each_names_one_with_another_label() -> None:
    for name in ("train/a/x", "train/a/y", "train/b/z"):
        picture(Path(f"pictures/{name}.png"), 9)
    for seed, name in enumerate(("train/a/p", "train/b/q", "test/a/r", "test/b/s"), start=10):
        picture(Path(f"pictures/{name}.png"), seed)
    check_mode.check(folder("method=supervised"))
    assert {row["path"]: row["detail"] for row in listed()} == {
        "train/a/x.png": "the same as train/b/z.png (noisy, b), 3 copies in all",
        "train/a/y.png": "the same as train/b/z.png (noisy, b), 3 copies in all",
        "train/b/z.png": "the same as train/a/x.png (noisy, a), 3 copies in all",
    }


@pytest.mark.parametrize("method", ["supervised", "l2r"])
def test_trusted_examples_teach_a_class_only_who_looks_at_them(method: str) -> None:
    rows = [
        *("a,train,a", "b,train,b", "c,train,c", "a,train,", "b,train,", "a,train,", "b,train,"),
        *("a,test,", "b,test,", "c,test,"),
    ]
    for number in range(len(rows)):
        picture(Path(f"pictures/{number}.png"), number)
    table = [f"{number}.png,{row}" for number, row in enumerate(rows)]
    Path("table.csv").write_text("\n".join(["path,label,split,true_label", *table]))
    made = folder("labels=table.csv", f"method={method}")
    check_mode.check(made)
    untrained = "nothing to train on in 1 of 3 classes (c): give them examples, or leave the "
    untrained += "classes out of the data"
    only_trusted = "classes with trusted examples only: 1 of 3 (c)"
    said = untrained if method == "supervised" else only_trusted
    assert {untrained, only_trusted} & set(found()["warnings"]) == {said}


def test_an_empty_test_set_is_in_the_way() -> None:
    rows = [f"{number}.png,{'ab'[number % 2]},train" for number in range(8)]
    rows.append("none.png,,test")
    for number in range(8):
        picture(Path(f"pictures/{number}.png"), number)
    Path("table.csv").write_text("\n".join(["path,label,split", *rows]))
    (error,) = errors(folder("labels=table.csv", "method=supervised"))
    assert error.startswith("There is no picture in test")


def test_a_second_check_replaces_the_first() -> None:
    planted()
    errors(folder("labels=table.csv", "method=supervised"))
    Path("table.csv").write_text(
        "path,label,split\n"
        + "\n".join(
            f"{number}.png,{'ab'[number % 2]},{'test' if number < 4 else 'train'}"
            for number in range(12)
        )
    )
    check_mode.check(folder("labels=table.csv", "method=supervised"))
    assert listed() == []
    assert found()["missing"] == {}


def test_too_little_memory_for_whole_pictures_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []

    def refuse(count: int, side: int) -> None:
        asked.append((count, side))
        raise ValueError("The pictures need more.")

    monkeypatch.setattr(check_mode, "check_memory", refuse)
    for number in range(10):
        picture(Path(f"pictures/{'ab'[number % 2]}/{number}.png"), number)
    assert errors(folder("method=supervised")) == ["The pictures need more."]
    assert asked == [(10, 8)]
    check_mode.check(folder("method=supervised", "dataset.pictures=windows"))


def test_file_names_and_classes_of_any_kind(capsys: pytest.CaptureFixture[str]) -> None:
    odd = os.fsdecode(b"\xff[bold].png")
    for number in range(8):
        picture(Path(f"pictures/[red]{'ab'[number % 2]}/{number}.png"), number)
    (Path("pictures/[red]a") / odd).write_bytes(b"no")
    check_mode.check(folder("method=supervised"))
    text = capsys.readouterr().out
    assert "│ [red]a │" in text
    assert "\\udcff[bold].png" in text
    raw = Path("outputs/check-folder/check_problems.csv").read_bytes()
    assert b"[red]a/\xff[bold].png,noisy,unreadable" in raw


def test_pictures_are_laid_out_without_looking_for_them() -> None:
    planted()
    data = build_data(folder("labels=table.csv", "method=supervised"))
    with pytest.raises(ValueError, match="missing below"):
        data.setup()
    data.setup_lazily()
    assert len(data.train_set) == data.num_train


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the command in this process; return its exit code."""
    # an imported function does not know beside which file its settings lie
    monkeypatch.setattr(sys, "argv", ["train.py", f"--config-path={CONF}", *words])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    try:
        train.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def ends(capsys: pytest.CaptureFixture[str]) -> tuple[Sequence[str], Sequence[str]]:
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines()


def test_the_command_on_digits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *QUICK, "run_dir=run", "method=l2r") == 0
    out, err = ends(capsys)
    assert out[-1] == "mode=check: training would start."
    assert err == []
    assert "the probe is large enough, 10 of each class; the paper has 10" in out
    said = found("digits_asym")
    assert [sum(row[split] for row in said["classes"]) for split in ("noisy", "probe", "test")] == [
        1197,
        100,
        500,
    ]
    assert said["pictures"] == 1797
    assert said["nominal_noise"] == 0.4
    assert said["effective_noise"] == pytest.approx(0.2, abs=0.04)
    assert {row["class"]: row["wrong_of_true"] for row in said["classes"]}["0"] == 0
    assert said["estimate"]["examples_timed"] == said["estimate"]["examples_a_step"] == 100
    assert sorted(path.name for path in Path().iterdir()) == ["outputs"]


def test_the_commands_exit_code_and_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(("0.png,cat,test", "0.png,DOG,test"))
    words = ("dataset=folder", "data_dir=pictures", "labels=table.csv", "batch_size=4")
    assert run(monkeypatch, *QUICK, *words, "dataset.image_size=8", "method=supervised") == 2
    out, err = ends(capsys)
    assert [line.split(" ", 2)[:2] for line in err] == [["error:", "Missing"]]
    assert "training would start" not in "\n".join(out)


def test_ranks_but_the_first_have_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_mode, "is_first_rank", lambda: False)
    assert check_mode.check(settings(*QUICK)) == {}
    assert not Path("outputs").exists()
