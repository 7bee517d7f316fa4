"""By the real client, offline: what it wrote is read back from its files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import wandb

from callbacks.csv_log import CSVLog
from callbacks.wandb_file import last_step, records
from callbacks.wandb_log import WandbLog
from tests.wandb_history import exit_code, history, parts, summary

Row = Mapping[str, float]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield
    wandb.finish()


def part(folder: Path, *rows: tuple[int, Row], code: int = 0) -> Path:
    """Log as one process of a run does, `metrics.csv` first; return W&B's file."""
    csv, log = CSVLog(folder / "metrics.csv"), WandbLog(folder, id="x", offline=True)
    assert log.experiment.id == "x"  # opened before training, by Lightning
    csv.truncate_after(rows[0][0] - 1)
    for step, row in rows:
        csv.log_metrics(row, step)
        log.log_metrics(row, step)
    wandb.finish(exit_code=code)
    return parts(folder)[-1]


def at(step: int, **row: float) -> dict[str, float]:
    return {**row, "trainer/global_step": step}


def test_a_row_a_step_at_its_step_and_summaries_are_the_last(tmp_path: Path) -> None:
    path = part(tmp_path, (50, {"loss": 3.0}), (50, {"acc": 0.9}), (100, {"loss": 4.0, "acc": 0.5}))
    assert history(path) == {50: at(50, loss=3.0, acc=0.9), 100: at(100, loss=4.0, acc=0.5)}
    defined = [record.metric for _, record in records(path) if record.HasField("metric")]
    axes = {metric.name or metric.glob_name: metric.step_metric for metric in defined}
    assert axes == {"trainer/global_step": "", "*": "trainer/global_step"}
    assert not any(metric.HasField("summary") for metric in defined)  # no best, no least
    assert summary(path) == at(100, loss=4.0, acc=0.5)
    assert exit_code(path) == 0


def test_a_step_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no step"):
        WandbLog(tmp_path, id="x", offline=True).log_metrics({"loss": 1.0})


def test_what_a_killed_part_lost_comes_from_the_csv_and_nothing_comes_twice(
    tmp_path: Path,
) -> None:
    def losses(*steps: int) -> list[tuple[int, Row]]:
        return [(step, {"loss": float(step)}) for step in steps]

    first = part(tmp_path, *losses(10, 20, 30, 40, 50))
    ends = [end for end, record in records(first) if record.HasField("history")]
    first.write_bytes(first.read_bytes()[: ends[2] + 9])  # 40 and 50 never came to the disk
    second = part(tmp_path, *losses(30, 40, 50, 60))  # resumed from 20
    assert list(history(first)) == [10, 20, 30]
    assert first.stat().st_size == ends[2]  # or `wandb sync` would stop there
    assert history(second) == {step: at(step, loss=step) for step in (40, 50, 60)}
    begun = next(end for end, record in records(second) if record.HasField("history")) - 30
    second.write_bytes(second.read_bytes()[:begun])  # it died without a row
    third = part(tmp_path, *losses(50, 60))  # resumed from 40
    assert history(third) == {step: at(step, loss=step) for step in (40, 50, 60)}


def test_a_step_that_was_half_logged_is_completed(tmp_path: Path) -> None:
    """It died in the evaluation of step 20: the window's row was there, the test's was not."""
    first = part(tmp_path, (10, {"loss": 1.0}), (20, {"loss": 2.0}), code=1)
    second = part(tmp_path, (20, {"loss": 2.0}), (20, {"acc": 0.5}), (30, {"loss": 3.0}))
    assert history(first) == {10: at(10, loss=1.0), 20: at(20, loss=2.0)}
    assert history(second) == {21: at(20, acc=0.5), 30: at(30, loss=3.0)}
    assert exit_code(first) == 1


def test_online_the_server_says_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv = CSVLog(tmp_path / "metrics.csv")
    for step in (10, 20, 30, 40):
        csv.log_metrics({"loss": step}, step)
    run: Any = mock.Mock(starting_step=21)
    monkeypatch.setattr(wandb, "init", lambda **_: run)
    log = WandbLog(tmp_path, id="x", resume="allow")
    log.log_metrics({"loss": 40.0}, 40)
    log.log_metrics({"loss": 50.0}, 50)
    sent = {call.kwargs["step"]: call.args[0] for call in run.log.call_args_list}
    assert sent == {step: at(step, loss=step) for step in (30, 40, 50)}


def test_a_file_of_something_else_has_no_records(tmp_path: Path) -> None:
    folder = tmp_path / "wandb" / "offline-run-1-x"
    folder.mkdir(parents=True)
    (folder / "run-x.wandb").write_bytes(b"something else entirely")
    assert last_step(tmp_path / "wandb", "x") == -1
    assert (folder / "run-x.wandb").stat().st_size == 23
    assert last_step(tmp_path / "nowhere", "x") == -1


def test_other_ranks_keep_still(tmp_path: Path) -> None:
    with mock.patch("pytorch_lightning.utilities.rank_zero.rank_zero_only.rank", 1):
        log = WandbLog(tmp_path, id=None, offline=True)
        log.log_metrics({"loss": 1.0}, 10)
        assert not isinstance(log.experiment, SimpleNamespace | wandb.Run)
    assert list(tmp_path.iterdir()) == []
