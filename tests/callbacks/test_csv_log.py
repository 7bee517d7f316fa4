import math
import os

import pytest

from callbacks.csv_log import CSVLog, read_metrics


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "metrics.csv"


def test_the_file_is_as_written_by_hand(path):
    log = CSVLog(path)
    log.log_metrics({"train/loss": 1.5, "lr": 0.1}, step=50)
    log.log_metrics({"train/loss": 1.25, "lr": 0.1}, step=100)
    log.log_metrics({"test/acc": 0.5}, step=100)
    log.log_metrics({"train/loss": math.nan, "lr": 0.05}, step=150)
    assert path.read_text() == (
        "step,train/loss,lr,test/acc\n50,1.5,0.1,\n100,1.25,0.1,0.5\n150,,0.05,\n"
    )


def test_rows_are_on_disk_at_once_and_merge_in_place(path):
    log = CSVLog(path)
    log.log_metrics({"a": 1.0, "b": 2.0}, step=1)
    for step in range(2, 5):
        log.log_metrics({"a": 123456.0 * step}, step=step)
        assert path.read_text().endswith(f"{step},{123456 * step},\n")
        log.log_metrics({"a": 0.5, "b": step}, step=step)
        assert path.read_text().endswith(f"{step},0.5,{step}\n")
    assert len(path.read_text().splitlines()) == 5
    assert os.listdir(path.parent) == ["metrics.csv"]


def test_an_earlier_step_finds_its_row(path):
    log = CSVLog(path)
    log.log_metrics({"a": 1.0}, step=10)
    log.log_metrics({"a": 2.0}, step=20)
    log.log_metrics({"a": 3.0}, step=15)
    log.log_metrics({"a": 4.0}, step=10)
    log.log_metrics({"a": 5.0}, step=30)
    assert path.read_text() == "step,a\n10,4\n15,3\n20,2\n30,5\n"


def test_float32_values_survive(path):
    value = 0.30000001192092896  # the float32 next to 0.3
    CSVLog(path).log_metrics({"a": value}, step=1)
    log = CSVLog(path)
    log.log_metrics({"a": value}, step=2)
    first, second = path.read_text().splitlines()[1:]
    assert first[1:] == second[1:] == ",0.300000012"


def test_a_resumed_run_drops_the_steps_it_will_repeat(path):
    first = CSVLog(path)
    for step in (1, 2, 3, 4):
        first.log_metrics({"a": step}, step=step)
    resumed = CSVLog(path)
    resumed.truncate_after(2)
    assert path.read_text() == "step,a\n1,1\n2,2\n"
    resumed.log_metrics({"a": 30}, step=3)
    resumed.log_metrics({"b": 7}, step=3)
    assert path.read_text() == "step,a,b\n1,1,\n2,2,\n3,30,7\n"


def test_half_a_last_line_is_no_row(path):
    CSVLog(path).log_metrics({"a": 1.5, "b": 2.5}, step=1)
    with path.open("a") as file:
        file.write("2,3.5,4.")
    assert read_metrics(path) == {"a": [(1, 1.5)], "b": [(1, 2.5)]}


def test_read_metrics(path):
    assert read_metrics(path) == {}
    log = CSVLog(path)
    log.log_metrics({"a": 1.0}, step=5)
    log.log_metrics({"b": math.inf}, step=7)
    log.log_metrics({"a": math.nan, "b": 2.0}, step=9)
    assert read_metrics(path) == {"a": [(5, 1.0)], "b": [(7, math.inf), (9, 2.0)]}


def test_what_lightning_asks(path):
    log = CSVLog(path)
    log.log_hyperparams({"a": 1})
    log.save()
    log.finalize("success")
    assert (log.name, log.version, log.save_dir) == ("metrics", "", str(path.parent))
    assert not path.exists()


def test_a_step_is_needed(path):
    with pytest.raises(ValueError, match="no step"):
        CSVLog(path).log_metrics({"a": 1.0})
