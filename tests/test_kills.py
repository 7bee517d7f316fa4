"""Asked to stop at some moment and started again, a run ends as if it had never been touched.

`benchmarks/kill_and_resume.py` does this a hundred times, with every signal; `test_doors` kills.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from benchmarks.kill_and_resume import Started, command, differing, finish


def killed(words: list[str], folder: Path, signum: int, rows: int, delay: float) -> Started:
    """Kill a run some moments after it has that many rows of metrics; return what is left."""
    run = Started(words, folder)
    metrics = folder / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) <= rows:
        assert run.process.poll() is None, run.said
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    run.process.send_signal(signum)
    return run


@pytest.mark.slow
@pytest.mark.ddp
def test_two_ranks_asked_to_stop_amid_an_epoch_end_the_same(tmp_path: Path) -> None:
    words = command(ranks=2, workers=1, steps=16)
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    finish(words, whole)
    run = killed(words, folder, signal.SIGTERM, rows=1, delay=random.uniform(0, 0.5))
    assert run.end() == 143, run.said
    assert "stopped by SIGTERM, saved after step" in run.said
    assert "to go on, type\n  python train.py method=l2r" in run.said
    assert "Traceback" not in run.said
    finish(words, folder)
    assert differing(folder, whole) == []


@pytest.mark.slow
def test_ctrl_c_saves_and_a_second_one_stops_at_once(tmp_path: Path) -> None:
    words = command(ranks=1, workers=0, steps=2000)
    run = killed(words, tmp_path / "run", signal.SIGINT, 1, 0.2)
    assert run.end() == 130, run.said
    assert "stopped by Ctrl-C, saved after step" in run.said
    assert "Traceback" not in run.said
    assert not (tmp_path / "run" / "results.json").exists()
