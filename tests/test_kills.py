"""Killed or asked to stop at any moment and started again, a run ends as if never touched.

`benchmarks/kill_and_resume.py` does this a hundred times; `test_doors` kills `python train.py`.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from benchmarks.kill_and_resume import SIGNALS, Trial, differing, settings
from benchmarks.started import Started


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.ddp)])
def test_killed_at_random_moments_a_run_ends_the_same(ranks: int, tmp_path: Path) -> None:
    words = settings(ranks, workers=1, steps=20)
    whole, killed = (Trial(words, tmp_path / name, ranks) for name in ("whole", "killed"))
    whole.start().end()  # the imports
    (tmp_path / "whole").rename(tmp_path / "first")
    began = time.monotonic()
    whole.finish()
    length = time.monotonic() - began
    for signum in random.sample([*SIGNALS.values(), signal.SIGKILL], 4):
        killed.kill(signum, random.uniform(0, length), random.choice([None, *range(ranks)]))
    killed.finish()
    assert differing(killed.folder, whole.folder) == [], killed.story
    assert killed.wrong_codes == 0, killed.story


def asked(words: list[str], folder: Path, signum: int, delay: float) -> Started:
    """Send a signal some moments after the first row of metrics; return what is left."""
    run = Started(words, folder)
    metrics = folder / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) <= 1:
        assert run.is_alive(), run.said
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    run.send(signum, rank=0)
    return run


@pytest.mark.slow
@pytest.mark.ddp
def test_ranks_that_lightning_started_stop_together(tmp_path: Path) -> None:
    words = settings(ranks=2, workers=1, steps=2000)
    run = asked(words, tmp_path / "run", signal.SIGTERM, random.uniform(0, 0.5))
    assert run.end() == 143, run.said
    assert "stopped by SIGTERM, saved after step" in run.said
    assert "to go on, type\n  python train.py method=l2r" in run.said
    assert "Traceback" not in run.said


@pytest.mark.slow
def test_ctrl_c_saves(tmp_path: Path) -> None:
    words = settings(ranks=1, workers=0, steps=2000)
    run = asked(words, tmp_path / "run", signal.SIGINT, 0.2)
    assert run.end() == 130, run.said
    assert "stopped by Ctrl-C, saved after step" in run.said
    assert "Traceback" not in run.said
    assert not (tmp_path / "run" / "results.json").exists()
