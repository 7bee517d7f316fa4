"""What a user meets at the command line: messages, exit codes, interruptions, sweeps, W&B."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.start_up import modules_of_help

ROOT = Path(__file__).parents[1]
QUICK = ("method=supervised", "evaluate_every=3", "log_every=2", "trainer=cpu")


def command(*overrides: str) -> list[str]:
    return [sys.executable, "train.py", *overrides]


def run(*overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*overrides),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["noise=1.2"], "noise=1.2 is not a rate"),
        (["probe_per_class=0", "method=ieg"], "probe_per_class=0 leaves method=ieg"),
        (["probe_per_class=5000", "dataset=cifar10_asym", "data_dir=/nowhere"], "probe_per_class"),
        (["batch_size=4", "trainer.devices=8"], "batch_size=4"),
        (["labels=5"], "labels=5 is not a file"),
        (["augment=strongest"], "augment=strongest"),
        (["meta.engine=magic"], "meta.engine=magic"),
        (["max_steps=3", "max_epochs=3"], "give one, the other follows"),
        (["mode=evaluate", "checkpoint=/nowhere.ckpt"], "There is no checkpoint at /nowhere.ckpt"),
    ],
)
def test_impossible_values_end_in_a_sentence(overrides: Sequence[str], message: str) -> None:
    done = run(*overrides)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_help_comes_before_anything_large_is_imported() -> None:
    names = modules_of_help()
    assert {"hydra", "runs.check"} <= names
    assert not names & {
        *("torch", "pytorch_lightning", "torchmetrics", "wandb", "matplotlib", "sklearn", "scipy"),
        *("pandas", "pyarrow", "PIL"),
    }


def test_unknown_keys_and_choices_are_refused() -> None:
    typo = run("nosie=0.4")
    assert typo.returncode != 0
    assert "nosie" in typo.stderr
    choice = run("method=magic")
    assert choice.returncode != 0
    assert "supervised" in choice.stderr
    assert not any("Traceback" in done.stderr for done in (typo, choice))


def test_a_traceback_is_there_when_asked_for() -> None:
    assert "Traceback" in run("noise=1.2", HYDRA_FULL_ERROR="1").stderr


def final_weights(run_dir: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 40
    return saved["state_dict"]


def test_a_killed_run_goes_on_and_ends_in_the_same_weights(tmp_path: Path) -> None:
    settings = (*QUICK, "max_steps=40", "logger=csv")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert run(*settings, f"run_dir={whole}").returncode == 0

    process = subprocess.Popen(
        command(*settings, f"run_dir={killed}"), cwd=ROOT, stdout=subprocess.DEVNULL
    )
    metrics = killed / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 8:
        assert process.poll() is None, "it was over before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "results.json").exists()

    again = run(*settings, f"run_dir={killed}")
    assert again.returncode == 0
    assert "going on where it was last saved" in again.stdout
    ours, theirs = final_weights(killed), final_weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    one, other = (json.loads((path / "results.json").read_text()) for path in (killed, whole))
    same = [key for key in one if key.startswith(("test/", "noise/"))]
    assert [one[key] for key in same] == [other[key] for key in same]
    assert (killed / "labels.csv").read_text() == (whole / "labels.csv").read_text()


def test_a_sweep_goes_past_a_failure_and_ends_in_a_table(tmp_path: Path) -> None:
    shadow = tmp_path / "packages" / "wandb.py"  # nobody who does not ask for W&B loads it
    shadow.parent.mkdir()
    shadow.write_text("raise SystemExit('wandb was imported')")
    done = run(
        "--multirun",
        *QUICK,
        "max_steps=3",
        "logger=csv",
        "noise=0.2,1.2,0.4",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
        f"run_dir={tmp_path}/run-${{noise}}",
        PYTHONPATH=str(shadow.parent),
    )
    assert "wandb was imported" not in done.stderr
    assert done.returncode == 1
    table = (tmp_path / "sweep" / "table.md").read_text()
    assert "noise=1.2 is not a rate" in table
    for noise in ("0.2", "0.4"):
        assert (tmp_path / f"run-{noise}" / "results.json").exists()
        assert f"| digits_asym | {noise} | supervised | resnet11 |" in table
    assert (tmp_path / "sweep" / "results.csv").exists()
    assert (tmp_path / "sweep" / "comparison.png").exists()


def test_wandb_runs_offline_without_a_key_and_says_how_to_sync(tmp_path: Path) -> None:
    """By the real client; HOME has no key."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("WANDB")
    }
    done = subprocess.run(
        command(*QUICK, "max_steps=3", f"run_dir={tmp_path / 'run'}"),
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    offline = list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
    assert len(offline) == 1
    assert b"test/acc" in offline[0].read_bytes()
    assert (tmp_path / "run" / "metrics.csv").exists()


CTRL_C = """
import runpy, signal, sys
from lightning_modules.base import NoisyLabelModule

def press(*_):
    signal.raise_signal(signal.SIGINT)  # to this thread: it is answered before the next line
    raise AssertionError("it went on")

NoisyLabelModule.forward = press
sys.argv = ["train.py", *sys.argv[1:]]
runpy.run_path("train.py", run_name="__main__")
"""


@pytest.mark.parametrize("mode", ["evaluate", "check"])
def test_ctrl_c_ends_what_trains_nothing_in_a_sentence(mode: str, tmp_path: Path) -> None:
    settings = (*QUICK, "max_steps=3", "logger=none", f"run_dir={tmp_path / 'run'}")
    if mode == "evaluate":
        assert run(*settings).returncode == 0
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, f"mode={mode}", *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("\nstopped by Ctrl-C\n")
    assert "Traceback" not in done.stderr
