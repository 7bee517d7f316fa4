"""Checks that the processes started by torchrun or srun make up one run.

With fewer devices in the settings, each process would be a run of its own: all in one folder, each
overwriting what the others wrote.
"""

import os
from typing import Any, NamedTuple

# Jobs with these names are interactive shells; Lightning also treats them so.
_SHELLS = ("bash", "interactive")


class Launcher(NamedTuple):
    """The launcher that started this process, and how many processes and nodes it started."""

    name: str
    processes: int
    nodes: int


def current_launcher() -> Launcher | None:
    """Return the launcher of this process; None: it was neither torchrun nor srun.

    An sbatch script or a salloc shell also sees the number of the job's tasks, but is not one of
    them; only srun sets the number of a step's tasks. Ranks that Lightning starts have no launcher.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        processes = _environment_number("WORLD_SIZE")
        return Launcher("torchrun", processes, processes // _environment_number("LOCAL_WORLD_SIZE"))
    if "SLURM_STEP_NUM_TASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in _SHELLS:
        return Launcher(
            "srun",
            _environment_number("SLURM_STEP_NUM_TASKS"),
            _environment_number("SLURM_STEP_NUM_NODES"),
        )
    return None


def ranks_are_started() -> bool:
    """Return whether a run's ranks are started already; else Lightning starts the others."""
    return current_launcher() is not None or "LOCAL_RANK" in os.environ


def check_launched_processes(trainer: dict[str, Any]) -> None:
    """Raise a `ValueError` unless the settings make one run of a launcher's processes."""
    launcher, rank_count = current_launcher(), count_ranks(trainer)
    if launcher is None or rank_count is None or launcher.processes == rank_count:
        return
    devices, nodes = launcher.processes // launcher.nodes, trainer.get("num_nodes", 1)
    advice = f"trainer.devices={devices}"
    if launcher.nodes > 1 or nodes != 1:
        advice += f" trainer.num_nodes={launcher.nodes}"
    if launcher.processes > 1:
        advice = f"trainer=ddp {advice}"
    raise ValueError(
        f"{launcher.name} started {launcher.processes} process{'es' * (launcher.processes > 1)}, "
        f"trainer.devices={trainer.get('devices', 1)} on trainer.num_nodes={nodes}: give {advice}."
    )


def count_ranks(trainer: dict[str, Any]) -> int | None:
    """Return the number of ranks that the settings ask for; None: not known yet."""
    devices = trainer.get("devices", 1)
    if isinstance(devices, list):
        devices = len(devices)
    elif devices == "auto" and trainer.get("accelerator") == "cpu":
        devices = 1
    is_known = isinstance(devices, int) and devices > 0
    return devices * trainer.get("num_nodes", 1) if is_known else None


def _environment_number(name: str) -> int:
    return int(os.environ.get(name, 1))
