"""Killed or asked to stop at any moment and started again, a run ends as if never touched.

`benchmarks/kill_and_resume.py` does this a hundred times; `test_doors` kills `python train.py`.
"""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from benchmarks.kill_and_resume import SIGNALS, Trial, differing_parts, small_run_overrides
from benchmarks.started import ROOT, ForkedRun


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.ddp)])
def test_killed_at_random_moments_a_run_ends_the_same(ranks: int, tmp_path: Path) -> None:
    words = small_run_overrides(ranks, workers=1, steps=20)
    whole, killed = (Trial(words, tmp_path / name, ranks) for name in ("whole", "killed"))
    whole.start().end()  # the imports
    (tmp_path / "whole").rename(tmp_path / "first")
    began = time.monotonic()
    whole.finish()
    length = time.monotonic() - began
    for signum in random.sample([*SIGNALS.values(), signal.SIGKILL], 4):
        killed.kill(signum, random.uniform(0, length), random.choice([None, *range(ranks)]))
    killed.finish()
    assert differing_parts(killed.folder, whole.folder) == [], killed.history
    assert killed.wrong_codes == 0, killed.history


def asked(words: list[str], folder: Path, signum: int, delay: float) -> ForkedRun:
    """Send a signal some moments after the first row of metrics; return what is left."""
    run = ForkedRun(words, folder)
    metrics = folder / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) <= 1:
        assert run.is_alive(), run.output
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(delay)
    run.send(signum, rank=0)
    return run


@pytest.mark.slow
@pytest.mark.ddp
def test_ranks_that_lightning_started_stop_together(tmp_path: Path) -> None:
    words = small_run_overrides(ranks=2, workers=1, steps=2000)
    run = asked(words, tmp_path / "run", signal.SIGTERM, random.uniform(0, 0.5))
    assert run.end() == 143, run.output
    assert "stopped by SIGTERM, saved after step" in run.output
    assert "to go on, type\n  python train.py method=l2r" in run.output
    assert "Traceback" not in run.output


@pytest.mark.slow
def test_ctrl_c_saves(tmp_path: Path) -> None:
    words = small_run_overrides(ranks=1, workers=0, steps=2000)
    run = asked(words, tmp_path / "run", signal.SIGINT, 0.2)
    assert run.end() == 130, run.output
    assert "stopped by Ctrl-C, saved after step" in run.output
    assert "Traceback" not in run.output
    assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signum", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")]
)
def test_who_ends_the_last_look_is_told_how_to_go_on(
    signum: int, name: str, tmp_path: Path
) -> None:
    words = small_run_overrides(ranks=1, workers=1, steps=80)
    for _ in range(2):  # the second does not train any more
        run = ForkedRun(words, tmp_path / "run")
        deadline = time.monotonic() + 120
        while "looking at every label once more" not in run.output:
            assert run.is_alive(), run.output
            assert time.monotonic() < deadline
            time.sleep(0.002)
        run.send(signum)
        assert run.end() == 128 + signum, run.output
        told = f"stopped by {name}, saved after step 80; to go on, type\n  python train.py"
        assert told in run.output
        assert run.output.count("to go on") == 1
        assert "Traceback" not in run.output
        assert not (tmp_path / "run" / "results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("given", [False, True])
def test_a_multirun_that_is_stopped_tells_its_own_command(given: bool, tmp_path: Path) -> None:
    place = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    words = ["--multirun", *small_run_overrides(ranks=1, workers=0, steps=2000), "seed=1,2"]
    words += [place if given else "hydra.job.name=x"]
    run = asked(words, tmp_path / "run", signal.SIGTERM, 0.1)
    assert run.end() == 143, run.output
    typed = run.output.partition("to go on, type\n  python train.py ")[2].splitlines()[0]
    assert typed.startswith(f"--multirun {words[1]} ")
    assert "seed=1,2" in typed
    assert typed.count("hydra.sweep.dir=") == 1
    if given:
        assert place in typed
    else:
        made = typed.partition("hydra.sweep.dir=")[2]
        assert made.startswith("multirun/")
        shutil.rmtree(ROOT / made)
