import csv
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from runs.compare import failures, finished, markdown, table, write

ROOT = Path(__file__).parents[2]


def job(method="ieg", noise=0.4, seed=1, acc=0.9, **more):
    return {
        "dataset": "digits_asym",
        "noise": noise,
        "method": method,
        "model": "small",
        "seed": seed,
        "test/acc_last": acc,
        "test/acc_best_oracle": acc + 0.01,
        "seconds": 10.0,
        "finished": True,
        "run_dir": f"outputs/{method}-{seed}",
        **more,
    }


def test_groups_over_seeds_only():
    rows = [
        job(seed=1, acc=0.90),
        job(seed=2, acc=0.94),
        job(seed=3, acc=0.95),
        job(noise=0.8, acc=0.7),
        job("l2r", acc=0.8),
    ]
    entries = table(rows)
    assert [(entry["noise"], entry["method"], entry["n"]) for entry in entries] == [
        (0.4, "ieg", 3),
        (0.4, "l2r", 1),
        (0.8, "ieg", 1),
    ]
    assert entries[0]["test/acc_last"] == pytest.approx(0.93)
    # sqrt((0.03² + 0.01² + 0.02²) / 2)
    assert entries[0]["test/acc_last/sd"] == pytest.approx(statistics.sqrt(0.0007))
    assert entries[1]["test/acc_last/sd"] is None
    assert entries[0]["noise/auroc"] is None


def test_noise_sorts_as_a_number():
    rows = [job(noise=noise) for noise in (0.8, 0, 0.05, 0.2)]
    assert [entry["noise"] for entry in table(rows)] == [0, 0.05, 0.2, 0.8]


def test_other_settings_are_not_averaged_over():
    rows = [
        job(seed=1, acc=0.9, settings="max_steps=10 probe_per_class=1"),
        job(seed=2, acc=0.8, settings="max_steps=10 probe_per_class=5"),
    ]
    entries = table(rows)
    assert [entry["settings"] for entry in entries] == ["probe_per_class=1", "probe_per_class=5"]
    assert [entry["n"] for entry in entries] == [1, 1]


def test_jobs_without_a_result_are_named_and_not_counted():
    rows = [
        job(),
        {"job": "method=l2r noise=0.4", "error": "ValueError: no probe"},
        job("supervised", finished=False),
    ]
    assert len(finished(rows)) == 1
    first, second = failures(rows)
    assert first == "method=l2r noise=0.4: ValueError: no probe"
    assert "method=supervised" in second
    assert "stopped before its last step" in second


def test_markdown_by_hand():
    text = markdown([job(seed=1, acc=0.9), job(seed=2, acc=0.92), {"job": "a=1", "error": "E"}])
    assert text.splitlines() == [
        "| dataset | noise | method | model | n | test acc (last) "
        "| test acc (best, oracle) | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| digits_asym | 0.4 | ieg | small | 2 | 0.9100 ± 0.0141 | 0.9200 ± 0.0141 | 10 ± 0 |",
        "",
        "Fractions: mean ± sample standard deviation over n seeds.",
        "",
        "Without a result:",
        "",
        "- a=1: E",
    ]


def test_write_makes_all_files(tmp_path):
    console = Console(record=True, width=200, file=(tmp_path / "out").open("w"))
    rows = [job(noise=noise, seed=seed) for noise in (0.2, 0.4) for seed in (1, 2)]
    write([*rows, {"job": "x=1", "error": "boom"}], tmp_path, console)
    with (tmp_path / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["seed"] for line in lines] == ["1", "2", "1", "2", ""]
    assert lines[-1]["error"] == "boom"
    assert (tmp_path / "table.md").read_text() == markdown([*rows, {"job": "x=1", "error": "boom"}])
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")
    printed = console.export_text()
    assert "0.9000 ± 0.0000" in printed
    assert "x=1: boom" in printed


def test_write_survives_a_sweep_of_failures(tmp_path):
    write([{"job": "x=1", "error": "boom"}], tmp_path, Console(file=(tmp_path / "out").open("w")))
    assert "x=1: boom" in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "sweep.png").exists()


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
    assert "| d | 0.4 | m | n | 2 | 0.7000 ± 0.1414 |" in text
    assert f"- seed=2: {why}" in text
    with (tmp_path / "sweep" / "results.csv").open() as file:
        assert [line["job"] for line in csv.DictReader(file)] == ["seed=1", "seed=2", "seed=3"]


def test_a_sweep_without_failures_ends_well(tmp_path):
    done = sweep(tmp_path, "pass", "--multirun", "seed=1,2", "+extra=5")
    assert done.returncode == 0, done.stderr
    assert "0.6500 ± 0.0707" in done.stdout
    assert (tmp_path / "sweep" / "sweep.png").exists()


def test_a_single_run_makes_no_table(tmp_path):
    done = sweep(tmp_path, "pass")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "sweep").exists()
