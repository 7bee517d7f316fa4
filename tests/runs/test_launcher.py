"""Processes of torchrun and srun, by the variables that these set, are one run or none."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from runs.check import check_settings
from runs.devices import with_device_count
from runs.launcher import current_launcher
from tests.compose import ROOT, settings

TWO_BY_TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
FOUR_BY_SRUN = {
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
}


@pytest.fixture(autouse=True)
def _started_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*TWO_BY_TORCHRUN, *FOUR_BY_SRUN}:
        monkeypatch.delenv(name, raising=False)


def started(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("variables", "words", "message"),
    [
        (
            TWO_BY_TORCHRUN,
            [],
            r"torchrun started 2 processes, trainer.devices=1 on trainer.num_nodes=1: give "
            r"trainer=ddp trainer.devices=2\.",
        ),
        (TWO_BY_TORCHRUN, ["trainer.devices=4"], r"=4 .*: give trainer=ddp trainer.devices=2\."),
        (TWO_BY_TORCHRUN, ["mode=evaluate"], "started 2 processes"),
        (TWO_BY_TORCHRUN, ["trainer=cpu", "trainer.devices=auto"], "trainer.devices=auto"),
        (
            {**TWO_BY_TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"},
            ["trainer.devices=2"],
            r"torchrun started 1 process, .*: give trainer.devices=1\.",
        ),
        (
            FOUR_BY_SRUN,
            ["trainer.devices=2"],
            r"srun started 4 processes, .*: give trainer=ddp trainer.devices=2 "
            r"trainer.num_nodes=2\.",
        ),
    ],
)
def test_copies_of_a_run_are_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: list[str], message: str
) -> None:
    started(monkeypatch, variables)
    with pytest.raises(ValueError, match=message):
        check_settings(settings(*words))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        (TWO_BY_TORCHRUN, ["trainer=ddp", "trainer.devices=2"]),
        (TWO_BY_TORCHRUN, ["trainer=ddp", "trainer.devices=[0,1]"]),
        (TWO_BY_TORCHRUN, ["trainer=ddp", "trainer.num_nodes=2", "trainer.devices=1"]),
        (TWO_BY_TORCHRUN, ["mode=audit"]),  # the first does all
        (FOUR_BY_SRUN, ["trainer.devices=2", "trainer.num_nodes=2"]),
        # torchrun on every node, by srun
        ({**FOUR_BY_SRUN, **TWO_BY_TORCHRUN}, ["trainer.devices=2"]),
        # a shell of salloc or srun --pty, and a script of sbatch that starts one process
        ({**FOUR_BY_SRUN, "SLURM_JOB_NAME": "interactive"}, []),
        ({"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, []),
        # a rank that Lightning started
        ({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, ["trainer.devices=2"]),
    ],
)
def test_ranks_of_one_run_and_processes_of_their_own_pass(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: list[str]
) -> None:
    started(monkeypatch, variables)
    check_settings(settings(*words))


def test_nobody_started_what_was_typed() -> None:
    assert current_launcher() is None


def test_all_devices_are_compared_once_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    started(monkeypatch, TWO_BY_TORCHRUN)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    made = settings("trainer=ddp")
    check_settings(made)
    with pytest.raises(ValueError, match=r"torchrun started 2 processes, trainer\.devices=4"):
        with_device_count(made)


def test_nothing_is_opened_before(tmp_path: Path) -> None:
    words = ["method=l2r", "max_steps=3", "logger=csv", f"run_dir={tmp_path / 'run'}"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "train.py"]
    done = subprocess.run(
        [*torchrun, *words], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode != 0
    assert "error: torchrun started 2 processes, trainer.devices=1" in done.stderr
    assert not (tmp_path / "run").exists()
