import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runs.folder import RunFolder
from tests.compose import settings


def folder(path: Path, *overrides: str) -> RunFolder:
    return RunFolder(settings(f"run_dir={path}", *overrides))


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    run = folder(tmp_path / "a" / "b")
    run.check_usable()
    run.create_and_lock()
    assert (run.path / "config.yaml").exists()
    assert run.finished_results() is None


def test_another_experiment_is_refused_with_the_difference(tmp_path: Path) -> None:
    folder(tmp_path / "run").create_and_lock()
    with pytest.raises(ValueError, match=r"noise: 0\.4 → 0\.2.*fresh=true"):
        folder(tmp_path / "run", "noise=0.2").check_usable()


def test_the_same_experiment_elsewhere_goes_on(tmp_path: Path) -> None:
    folder(tmp_path / "run").create_and_lock()
    folder(tmp_path / "run", "logger=csv", "trainer=cpu").check_usable()


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ValueError, match=r"holds no config.yaml"):
        folder(tmp_path).check_usable()


def test_fresh_sets_a_run_aside_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    run = folder(tmp_path, "fresh=true")
    with pytest.raises(ValueError, match="holds no config"):
        run.check_usable()
    assert run.move_aside() is None
    other = folder(tmp_path / "run")
    other.create_and_lock()
    folder(tmp_path / "run", "fresh=true", "noise=0.2").check_usable()


def refusal(run: RunFolder, act: Callable[[RunFolder], Any]) -> str:
    """Return what another process answers."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            act(run)
        except ValueError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return said.read()


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "run"), folder(tmp_path / "run")
    one.create_and_lock()
    for act in (RunFolder.create_and_lock, RunFolder.move_aside):
        assert "Another process is training in run_dir" in refusal(other, act)
    assert (tmp_path / "run" / "config.yaml").exists()
    one.release_lock()
    assert refusal(other, RunFolder.create_and_lock) == ""


def test_fresh_deletes_nothing(tmp_path: Path) -> None:
    run = folder(tmp_path / "run")
    run.create_and_lock()
    first = run.move_aside()
    run.create_and_lock()
    second = run.move_aside()
    assert first is not None
    assert second is not None
    assert first != second
    assert (first / "config.yaml").exists()
    assert (second / "config.yaml").exists()
    assert not run.path.exists()
    assert run.move_aside() is None


def test_only_finished_results_count(tmp_path: Path) -> None:
    run = folder(tmp_path / "run")
    run.create_and_lock()
    (run.path / "results.json").write_text(json.dumps({"finished": False}))
    assert run.finished_results() is None
    (run.path / "results.json").write_text(json.dumps({"finished": True, "steps": 3}))
    assert run.finished_results() == {"finished": True, "steps": 3}


@pytest.mark.parametrize("text", ["", '{"finished": tr', "[1, 2]", "\udcff"])
def test_damaged_results_are_told_by_their_file(tmp_path: Path, text: str) -> None:
    run = folder(tmp_path / "run")
    run.create_and_lock()
    path = run.path / "results.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"{path} is damaged \(.*\): put it back, or take it"):
        run.finished_results()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (RunFolder.check_usable, RunFolder.create_and_lock):
        with pytest.raises(ValueError, match=r"run_dir=.*cannot be written"):
            attempt(folder(tmp_path / "file" / "run"))


@pytest.mark.parametrize("given", ["labels={}", "dataset.trusted={}", "dataset.trusted=[{}]"])
def test_fresh_does_not_move_what_it_is_to_read(tmp_path: Path, given: str) -> None:
    folder(tmp_path / "run").create_and_lock()
    listed = tmp_path / "run" / "label_next.csv"
    listed.write_text("index,true_label\n1,2\n")
    with pytest.raises(ValueError, match=rf"={listed} lies in run_dir=.* copy the file elsewhere"):
        folder(tmp_path / "run", "fresh=true", given.format(listed)).check_usable()
    elsewhere = listed.rename(tmp_path / "label_next.csv")
    folder(tmp_path / "run", "fresh=true", given.format(elsewhere)).check_usable()
