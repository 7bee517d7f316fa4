"""The paper's tables: what is kept of a run, and what counts for which row."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import tables
from benchmarks.paper_rows import (
    OurResult,
    PaperRow,
    experiment_text,
    outdated_experiments,
    paper_rows,
)
from tests.compose import settings

ROW = "cifar10_uniform40_resnet29"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "RESULTS", tmp_path)


def result(seed: int, accuracy: float, *changes: str, experiment: str = f"paper/{ROW}") -> Any:
    made = settings(
        f"experiment={experiment}", f"seed={seed}", "data_dir=/secret", "trainer=cpu", *changes
    )
    return {
        "dataset": "cifar10_uniform",
        "noise": 0.4,
        "method": "ieg",
        "model": "resnet29",
        "seed": seed,
        "run_dir": "/secret/run",
        "test/acc_last": accuracy,
        "seconds": 3600.0 * seed,
        "finished": True,
        "device": "abacus",
        "command": f"python train.py experiment={experiment} data_dir=/secret "
        "run_dir=/secret/run "
        "dataset.imagenet_dir=/secret",
        "settings": made,
    }


def row_of(name: str) -> PaperRow:
    return next(row for row in paper_rows() if row.name == name)


def test_files_and_page_are_what_results_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real results/
    experiments, text = tables.build_texts()
    why = "run python benchmarks/tables.py"
    assert not outdated_experiments(experiments), why
    assert tables.PAGE.read_text(encoding="utf-8") == text, why


def test_rows_have_names_of_their_own() -> None:
    names = [row.name for row in paper_rows()]
    assert len(set(names)) == len(names) > 80


def test_a_result_is_kept_without_what_belongs_to_a_machine() -> None:
    file = tables.keep_result(result(3, 0.9))
    assert "secret" not in file.read_text()
    assert "/" not in json.loads(file.read_text())["command"].replace(f"paper/{ROW}", "")
    (kept,) = tables.kept_results()
    assert kept["test/acc_last"] == 0.9
    assert kept["settings"]["dataset"]["probe_per_class"] == 10
    assert "trainer" not in kept["settings"] or "accelerator" not in kept["settings"]["trainer"]


def test_unfinished_runs_are_named_and_the_others_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made = [{**result(3, 0.9), "finished": False}, result(4, 0.8)]
    monkeypatch.setattr(tables, "find_runs", lambda places: made)
    monkeypatch.setattr("sys.argv", ["tables.py", "--add", "here"])
    monkeypatch.setattr(tables, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(tables, "write_experiments", lambda experiments: None)
    tables.main()
    assert [one["seed"] for one in tables.kept_results()] == [4]
    told = capsys.readouterr().out
    assert "not kept: /secret/run: stopped before its last step" in told
    assert "80.0" in (tmp_path / "page.md").read_text()


def test_seeds_of_a_row_are_put_beside_the_papers_number() -> None:
    for seed, accuracy in ((1, 0.92), (2, 0.93), (3, 0.94)):
        tables.keep_result(result(seed, accuracy))
    row = row_of(ROW)
    found = tables.our_result(row, tables.kept_results())
    assert found == OurResult(pytest.approx([0.92, 0.93, 0.94]), pytest.approx(2.0), "abacus")
    assert found.accuracy_text == f"93.0 ± {100 * statistics.stdev([0.92, 0.93, 0.94]):.1f}"
    line = tables._line(row, found)
    assert line.endswith("| 92.5 ± 0.5 | 93.0 ± 1.0 | +0.5 | 3 | 2.0 | abacus |")
    text = experiment_text(row, found)
    assert "# Paper: 92.5 ± 0.5 %. Ours: 93.0 ± 1.0 % (n = 3, abacus, 2.0 hours each)." in text
    assert yaml.safe_load(text) == yaml.safe_load(experiment_text(row, None))
    assert tables.our_result(row_of("cifar10_uniform80_resnet29"), tables.kept_results()) is None


def test_a_run_that_changed_more_than_the_seed_does_not_count() -> None:
    tables.keep_result(result(1, 0.95, "max_steps=10"))
    with pytest.raises(ValueError, match=rf"is no paper/{ROW}: max_steps: None → 10"):
        tables.our_result(row_of(ROW), tables.kept_results())


def test_small_runs_have_a_table_of_their_own() -> None:
    for method in ("l2r", "ieg"):
        one = result(1, 0.5, f"method={method}", experiment="small")
        tables.keep_result({**one, "method": method, "model": "wrn10_1"})
    rows = paper_rows()
    text = tables.page_text(rows, dict.fromkeys(row.name for row in rows), tables.kept_results())
    assert "| cifar10_uniform | 0.4 | l2r | wrn10_1 |" in text
