import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra.types import RunMode
from omegaconf import OmegaConf
from rich.console import Console

from runs.check import check_settings
from runs.compare import compare, comparison_folder, write_comparison
from runs.rows import find_runs
from runs.sweep_table import SweepTable
from tests.runs.folders import row, run_folder, settings

ROOT = Path(__file__).parents[2]


def test_write_makes_all_files(tmp_path):
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    rows = [row(f"noise={noise}", f"seed={seed}") for noise in (0.2, 0.4) for seed in (1, 2)]
    write_comparison([*rows, {"job": "x=1", "error": "boom"}], tmp_path, console)
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 6
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 3
    printed = console.export_text()
    for text in (printed, (tmp_path / "table.md").read_text()):
        assert "0.9000 ± 0.0000" in text
        assert "x=1: boom" in text


def test_write_survives_a_sweep_of_failures(tmp_path):
    write_comparison(
        [{"job": "x=1", "error": "boom"}], tmp_path, Console(file=(tmp_path / "out").open("w"))
    )
    assert "x=1: boom" in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "comparison.png").exists()


def test_write_takes_names_in_any_encoding(tmp_path):
    name = os.fsdecode(b"/a/\xff.csv")
    rows = [row("noise=0.2"), row("noise=0.2", f"labels='{name}'"), {"job": name, "error": "boom"}]
    with (tmp_path / "out").open("w", encoding="utf-8") as out:
        write_comparison(rows, tmp_path, Console(file=out, width=200))
    printed = (tmp_path / "out").read_text(encoding="utf-8")
    assert "labels=/a/\\udcff.csv" in printed
    assert "/a/\\udcff.csv: boom" in printed
    for file in ("results.csv", "table.csv", "table.md"):
        assert b"/a/\xff.csv" in (tmp_path / file).read_bytes()


def test_jobs_that_end_at_once_write_one_table(tmp_path):
    processes, jobs = 4, 6

    def end(first):
        for number in range(first, first + jobs):
            config = OmegaConf.create({"hydra": {"mode": None, "job": {"num": number}}})
            config.hydra.mode = RunMode.MULTIRUN
            config.hydra.sweep = {"dir": str(tmp_path)}
            done = SimpleNamespace(return_value={"error": "boom"}, overrides=[], cfg=None)
            SweepTable().on_job_end(config, done)

    children = []
    for first in range(0, processes * jobs, jobs):
        children.append(os.fork())
        if not children[-1]:
            failed = True
            try:
                end(first)
                failed = False
            finally:
                os._exit(failed)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * processes
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + processes * jobs


APP = """
import hydra

@hydra.main(version_base="1.3", config_path=None, config_name="app")
def main(config):
    print("RAN", config.seed)
    if config.seed == 2:
        {failure}
    return {{"dataset": "d", "noise": config.noise, "method": "m", "model": "n", "finished": True,
             "seed": config.seed, "test/acc_last": 0.5 + config.seed / 10, "seconds": 1.0}}

if __name__ == "__main__":
    main()
"""

CONFIG = """
noise: 0.4
seed: 1
hydra:
  sweep:
    dir: sweep
  callbacks:
    table:
      _target_: runs.sweep_table.SweepTable
"""


def sweep(folder, failure, *arguments):
    (folder / "app.py").write_text(
        APP.format(failure=failure).replace("config_path=None", 'config_path="."')
    )
    (folder / "app.yaml").write_text(CONFIG)
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        ('return {"error": "ValueError: seed 2 is bad"}', "ValueError: seed 2 is bad"),
        ('raise RuntimeError("seed 2 raised")', "RuntimeError: seed 2 raised"),
    ],
    ids=["caught by the job", "raised out of the job"],
)
def test_a_failed_job_stops_neither_the_sweep_nor_the_table(tmp_path, failure, why):
    done = sweep(tmp_path, failure, "--multirun", "seed=1,2,3")
    assert done.returncode == 1, done.stderr
    assert "RAN 3" in done.stdout
    text = (tmp_path / "sweep" / "table.md").read_text()
    assert "| d | 0.4 | m | n | 2 | 0.7000 ± 0.1414 | 1 |" in text
    assert f"- seed=2: {why}" in text
    with (tmp_path / "sweep" / "results.csv").open() as file:
        assert [line["job"] for line in csv.DictReader(file)] == ["seed=1", "seed=2", "seed=3"]


def test_a_sweep_without_failures_ends_well(tmp_path):
    done = sweep(tmp_path, "pass", "--multirun", "seed=1,2", "+extra=5")
    assert done.returncode == 0, done.stderr
    assert "0.6500 ± 0.0707" in done.stdout
    assert (tmp_path / "sweep" / "comparison.png").exists()


def ended(folder, number, words, result):
    """Do what Hydra does when a job has ended."""
    config = OmegaConf.create({"hydra": {"mode": None, "job": {"num": number}}})
    config.hydra.mode = RunMode.MULTIRUN
    config.hydra.sweep = {"dir": str(folder)}
    made = OmegaConf.create(settings(*words))
    SweepTable().on_job_end(config, SimpleNamespace(return_value=result, overrides=words, cfg=made))
    return config


@pytest.mark.parametrize(
    ("mode", "results"),
    [
        ("evaluate", [{"checkpoint": f"outputs/{name}", "test/acc": 0.91234} for name in "ab"]),
        ("check", [{"dataset": "digits_asym", "check": "outputs/check/check.json"}] * 2),
    ],
)
def test_jobs_that_train_nothing_are_listed_and_have_results(tmp_path, capsys, mode, results):
    for number, result in enumerate(results):
        config = ended(tmp_path, number, [f"mode={mode}", f"noise=0.{number + 1}"], result)
    SweepTable().on_multirun_end(config)  # exits where a job has no result
    with (tmp_path / "jobs.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["job"] for line in lines] == [f"mode={mode} noise=0.{one}" for one in (1, 2)]
    printed = capsys.readouterr().out
    for result in results:
        assert all(str(value)[:6] in printed for value in result.values())
    assert not (tmp_path / "table.md").exists()
    assert find_runs([str(tmp_path)]) == []  # mode=compare has nothing to say of them
    ended(tmp_path, 2, [f"mode={mode}"], {"error": "boom"})
    with pytest.raises(SystemExit):
        SweepTable().on_multirun_end(config)
    printed = capsys.readouterr()
    assert f"No result: mode={mode}: boom" in printed.out
    assert "1 of 3 jobs have no result." in printed.err


def test_audits_are_told_apart_by_their_checkpoints(tmp_path):
    for number, seed in enumerate((1, 2)):
        of_checkpoint = row(f"seed={seed}", "method=l2r")
        config = ended(tmp_path, number, ["mode=audit", f"checkpoint={seed}"], of_checkpoint)
    SweepTable().on_multirun_end(config)
    assert "| l2r | resnet11 | 2 | 0.9000 ± 0.0000 |" in (tmp_path / "table.md").read_text()


def test_a_single_run_makes_no_table(tmp_path):
    done = sweep(tmp_path, "pass")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "sweep").exists()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, as the project's own."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        run_folder(tmp_path / f"outputs/a{seed}", f"seed={seed}", acc=0.5 + seed / 10)
    return tmp_path


def test_it_goes_beside_what_is_compared(place):
    (place / "multirun/date/jobs").mkdir(parents=True)
    (place / "multirun/date/jobs/00000.json").write_text("{}")
    assert comparison_folder("multirun/date") == Path("multirun/date")
    assert comparison_folder("multirun") == Path("multirun/compare")
    assert comparison_folder("outputs") == Path("outputs/compare")
    assert comparison_folder("outputs/*") == Path("outputs/compare")
    assert comparison_folder(["multirun"]) == Path("outputs/compare")


def test_null_compares_all_outputs_as_often_as_one_likes(place):
    for _ in range(2):
        assert compare(settings("mode=compare")) == {"compared": 2, "folder": "outputs/compare"}
    assert "| 2 | 0.6500 ± 0.0707 |" in (place / "outputs/compare/table.md").read_text()


def test_nothing_to_compare_is_an_error_that_says_why(place):
    (place / "outputs/a1/results.json").write_text("{")
    (place / "outputs/a2/results.json").unlink()
    with pytest.raises(ValueError, match=r"a1: its results.json is damaged; .*a2: not finished"):
        compare(settings("mode=compare"))
    assert not (place / "outputs/compare").exists()


def damage(file, **changed):
    """Change what a file of settings or results says; None takes it away."""
    content = {**yaml.safe_load(file.read_text()), **changed}
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept))


@pytest.mark.parametrize(
    ("file", "changed", "why"),
    [
        ("config.yaml", {"trainer": None}, "config.yaml is damaged: there is no trainer.precision"),
        ("config.yaml", {"choices": 5}, "config.yaml is damaged: there is no choices.method"),
        ("results.json", {"test/acc_last": "high"}, "test/acc_last=high, which is not a number"),
        ("results.json", {"test/acc_last": float("nan")}, "test/acc_last=nan, which is not"),
        ("results.json", {"noise/auroc": "high"}, "noise/auroc=high, which is not a number"),
        ("results.json", {"seconds": [1]}, "seconds=[1], which is not a number"),
        ("results.json", {"dataset": ["a"]}, "dataset=['a'], which is not one value"),
    ],
)
def test_a_run_that_is_not_as_runs_leave_it_costs_no_other(place, file, changed, why):
    run_folder(place / "outputs/bad", "seed=3")
    damage(place / "outputs/bad" / file, **changed)
    assert compare(settings("mode=compare"))["compared"] == 2
    text = (place / "outputs/compare/table.md").read_text()
    assert "| 2 | 0.6500 ± 0.0707 |" in text
    assert f"- outputs/bad: its {'result has ' if file == 'results.json' else ''}{why}" in text


def test_a_folder_that_cannot_be_written_is_told(place):
    (place / "outputs/compare").write_text("a file")
    with pytest.raises(ValueError, match="outputs/compare cannot be written"):
        compare(settings("mode=compare"))


@pytest.mark.parametrize("given", ["5", "[]", "[a,5]", "''"])
def test_places_are_checked(given):
    with pytest.raises(ValueError, match="is not a folder, a pattern, or a list of these"):
        check_settings(settings("mode=compare", f"run_dir={given}"))


def test_a_list_of_folders_is_for_this_mode_only():
    check_settings(
        settings("mode=compare", "run_dir=[a,'outputs/*ieg*']", "noise=7", "batch_size=0")
    )
    with pytest.raises(ValueError, match="is not a folder: give its path"):
        check_settings(settings("run_dir=[a,b]"))
    with pytest.raises(ValueError, match="no job of a multirun"):
        check_settings(settings("mode=compare"), sweeping=True)


def test_the_command_compares_without_the_libraries_that_train(place):
    # what chooses nothing here does not disturb
    words = ["train.py", "mode=compare", "noise=1.2", f"run_dir={place}/outputs"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0
    assert "0.6500 ± 0.0707" in done.stdout
    assert (place / "outputs/compare/comparison.png").exists()
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "matplotlib" in imported
    assert not imported & {"torch", "pytorch_lightning", "wandb"}
