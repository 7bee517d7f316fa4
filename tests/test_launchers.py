"""The same two ranks, however they are started: the same weights to the last bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.ranks import free_port

ROOT = Path(__file__).parents[1]
TRAIN = ("method=l2r", "max_steps=6", "evaluate_every=3", "log_every=2", "logger=csv")
TWO_RANKS = ("trainer=ddp", "trainer.accelerator=cpu")

pytestmark = [pytest.mark.ddp, pytest.mark.slow]


def together(*commands: list[str], environments: tuple[dict[str, str], ...] = ({},)) -> list[str]:
    """Run commands side by side, as on as many machines; return what they print."""
    started = [
        subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command, environment in zip(commands, environments, strict=True)
    ]
    printed = []
    for process in started:
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        printed.append(out)
    return printed


def torchrun(*words: str) -> list[str]:
    return ["-m", "torch.distributed.run", *words, "train.py"]


def start_by_itself(run_dir: Path) -> None:
    together(["train.py", *TRAIN, *TWO_RANKS, "trainer.devices=2", f"run_dir={run_dir}"])


def start_by_torchrun_on_two_nodes(run_dir: Path) -> None:
    meet = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=127.0.0.1",
            f"--master-port={free_port()}"]  # fmt: skip
    job = [*TRAIN, *TWO_RANKS, "trainer.devices=1", "trainer.num_nodes=2", f"run_dir={run_dir}"]
    nodes = [[*torchrun(*meet, f"--node-rank={node}"), *job] for node in range(2)]
    together(*nodes, environments=({}, {}))


def start_by_slurm_on_two_nodes(run_dir: Path) -> None:
    """As `srun` would, by the variables that it sets."""
    shared = {
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NAME": "train",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_LOCALID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    job = ["train.py", *TRAIN, *TWO_RANKS, "trainer.devices=1", "trainer.num_nodes=2",
           f"run_dir={run_dir}"]  # fmt: skip
    nodes = tuple(
        {**shared, "SLURM_PROCID": str(node), "SLURM_NODEID": str(node)} for node in range(2)
    )
    together(job, job, environments=nodes)


def evaluated(run_dir: Path, world_size: int) -> dict[str, Any]:
    ranks = (*TWO_RANKS, f"trainer.devices={world_size}")
    command = ["mode=evaluate", f"checkpoint={run_dir}", *(ranks if world_size > 1 else ())]
    start = torchrun(f"--nproc-per-node={world_size}") if world_size > 1 else ["train.py"]
    (out,) = together([*start, *command])
    return json.loads(out[out.index("{") : out.rindex("}") + 1])


def test_every_launcher_gives_the_same_weights_and_evaluation_counts_once(tmp_path: Path) -> None:
    ends = {}
    for start in (
        start_by_itself,
        start_by_torchrun_on_two_nodes,
        start_by_slurm_on_two_nodes,
    ):
        run_dir = tmp_path / start.__name__
        start(run_dir)
        saved = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
        ends[run_dir] = saved["state_dict"]
    first, *others = ends.values()
    for other in others:
        assert all(torch.equal(other[name], value) for name, value in first.items())

    # 500 test images over 3 ranks: none twice, none left out
    trained = tmp_path / start_by_itself.__name__
    reported = json.loads((trained / "results.json").read_text())
    alone, shared = evaluated(trained, 1), evaluated(trained, 3)
    assert alone["test/acc"] == shared["test/acc"] == reported["test/acc_last"]
    assert alone["test/loss"] == pytest.approx(shared["test/loss"], rel=1e-6)
