import json
import os

import pytest

from runs.folder import RunFolder
from runs.rows import find_runs
from tests.runs.folders import results, run_folder, settings


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, as the project's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*places):
    """Return the folders of the runs that were found, and what is wrong with the others."""
    rows = find_runs([str(one) for one in places])
    wrong = {one.get("run_dir", one.get("job")): one["error"] for one in rows if "error" in one}
    return [one["run_dir"] for one in rows if "error" not in one], wrong


def test_runs_at_any_depth_and_no_other_folder(place):
    for name in ("outputs/b", "outputs/deep/er/a"):
        run_folder(place / name)
    # what lies in a run, what the comparison and the check leave behind, and settings of others
    (place / "outputs/b/wandb/files").mkdir(parents=True)
    (place / "outputs/b/wandb/files/config.yaml").write_text("a: 1")
    (place / "outputs/compare").mkdir()
    (place / "outputs/compare/results.csv").write_text("a\n1\n")
    (place / "conf").mkdir()
    (place / "conf/config.yaml").write_text("a: 1")
    assert found("outputs") == (["outputs/b", "outputs/deep/er/a"], {})
    assert found(".") == (["outputs/b", "outputs/deep/er/a"], {})
    assert found("outputs/b") == (["outputs/b"], {})


def test_patterns_and_lists_find_a_run_once(place):
    for name in ("outputs/l2r-1", "outputs/l2r-2", "outputs/ieg-1"):
        run_folder(place / name)
    assert found("outputs/*l2r*")[0] == ["outputs/l2r-1", "outputs/l2r-2"]
    assert found("outputs/ieg-1", "outputs", place / "outputs")[0] == [
        "outputs/ieg-1",
        "outputs/l2r-1",
        "outputs/l2r-2",
    ]
    (place / "outputs/again").symlink_to(place / "outputs")
    assert len(found("outputs")[0]) == 3


def test_what_cannot_be_compared_is_told_and_the_rest_is_found(place):
    names = ("whole", "unfinished", "damaged", "no-config", "bad-config", "no-keys")
    for name in names:
        run_folder(place / "outputs" / name)
    os.remove("outputs/unfinished/results.json")
    (place / "outputs/damaged/results.json").write_text('{"noise": 0.')
    os.remove("outputs/no-config/config.yaml")
    (place / "outputs/bad-config/config.yaml").write_text("a: [1\nb: \x00")
    (place / "outputs/no-keys/results.json").write_text("[]")
    (place / "empty").mkdir()
    assert found("outputs", "empty", "nowhere", "none/*") == (
        ["outputs/whole"],
        {
            "outputs/unfinished": (
                "not finished: unless a process trains there, run the same command again to go on"
            ),
            "outputs/damaged": "its results.json is damaged",
            "outputs/no-config": "its config.yaml is missing",
            "outputs/bad-config": "its config.yaml is damaged",
            "outputs/no-keys": "its results.json is damaged",
            "empty": "there is no run below it",
            "nowhere": "there is no such folder",
            "none/*": "there is no such folder",
        },
    )


def test_a_run_that_was_set_aside_is_found_by_its_own_name_only(place):
    folder = run_folder(place / "outputs/a")
    aside = RunFolder({**settings(), "run_dir": str(folder)}).move_aside()
    run_folder(folder)
    assert found("outputs")[0] == ["outputs/a"]
    assert found("outputs/*")[0] == ["outputs/a"]
    assert found("outputs/a", aside)[0] == ["outputs/a", str(aside)]


def job(place, number, **row):
    jobs = place / "multirun/date/jobs"
    jobs.mkdir(parents=True, exist_ok=True)
    (jobs / f"{number:05d}.json").write_text(json.dumps(row))


def test_a_multirun_has_its_jobs_also_those_that_failed(place):
    run_folder(place / "outputs/a", acc=0.5)
    run_folder(place / "outputs/finished-later", "seed=2", acc=0.6)
    begun = {**results(settings("seed=2")), "finished": False}
    job(place, 0, **results(settings()), run_dir="outputs/a", settings=settings())
    job(place, 1, job="noise=2", error="noise=2 is not a rate")
    job(place, 2, **begun, run_dir="outputs/finished-later")
    job(place, 3, **results(settings("seed=3")), run_dir="outputs/deleted", settings=settings())
    (place / "multirun/date/jobs/00004.json").write_text("{")
    for folder in ("multirun", "multirun/date"):
        runs, wrong = found(folder)
        assert runs == ["outputs/a", "outputs/finished-later", "outputs/deleted"]
        assert wrong == {
            "noise=2": "noise=2 is not a rate",
            "multirun/date/jobs/00004.json": "00004.json is damaged",
        }
    assert [row["test/acc_last"] for row in find_runs(["multirun"])[:3:2]] == [0.9, 0.6]
    # beside their folders, jobs count once
    assert len(found("multirun", "outputs")[0]) == 3
