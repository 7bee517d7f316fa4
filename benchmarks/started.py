"""Runs as processes that can be killed, forked from a server that has already done the imports.

So a start costs half a second instead of ten, and a run can be killed at a hundred moments within
minutes.
"""

import os
import runpy
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from multiprocessing import forkserver, get_context, set_start_method
from pathlib import Path

from lightning_utilities.core.rank_zero import rank_zero_only

from benchmarks.ranks import free_port

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 300
# How long a rank may take to end when another has failed; torchrun waits longer.
GRACE_SECONDS = 5

_server = get_context("forkserver")
_server.set_forkserver_preload(["benchmarks.preloaded"])


def _train(overrides: Sequence[str], output_file: str, environment: dict[str, str]) -> None:
    """Do what `python train.py ...` does, or one rank of it."""
    os.setsid()
    output_descriptor = os.open(output_file, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output_descriptor, stream)
    # a shell's background jobs ignore SIGINT, and so would what they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
    set_start_method("fork", force=True)  # for loader workers, as without a server
    os.environ.update(environment)
    rank_zero_only.rank = int(environment.get("RANK", 0))  # Lightning has read it at import
    os.chdir(ROOT)
    sys.argv = ["train.py", *overrides]
    runpy.run_path("train.py", run_name="__main__")


class ForkedRun:
    """A run, as one process or as several ranks.

    Args:
        overrides: the arguments of `python train.py`.
        folder: the run's.
        ranks: how many processes to start, as torchrun does; with 1, Lightning starts others if
            the arguments ask for more devices.
    """

    def __init__(self, overrides: Sequence[str], folder: Path, ranks: int = 1) -> None:
        self._output_file = tempfile.NamedTemporaryFile()  # noqa: SIM115  # kept while they run
        port = str(free_port())
        self.processes = []
        with chdir(ROOT):  # where the server finds the modules to import
            forkserver.ensure_running()
        for rank in range(ranks):
            environment = {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            if ranks > 1:
                environment |= {
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "WORLD_SIZE": str(ranks),
                }
            arguments = ([*overrides, f"run_dir={folder}"], self._output_file.name, environment)
            process = _server.Process(target=_train, args=arguments)
            process.start()
            self.processes.append(process)

    def is_alive(self, rank: int | None = None) -> bool:
        """Return whether a rank (None: any) is still running."""
        chosen = self.processes if rank is None else [self.processes[rank]]
        return any(process.is_alive() for process in chosen)

    def send(self, signum: int, rank: int | None = None) -> None:
        """Send a signal to one rank; None: to all, and to the processes they have started."""
        chosen = self.processes if rank is None else [self.processes[rank]]
        for process in chosen:
            try:
                (os.killpg if rank is None else os.kill)(process.pid, signum)
            except ProcessLookupError:
                continue

    def end(self) -> int:
        """Wait for all ranks; return the first one's exit code as a shell would (128 + signal).

        If one fails, the others are ended as torchrun does: SIGTERM first, then SIGKILL.
        """
        start, failed_at = time.monotonic(), 0.0
        while self.is_alive():
            now = time.monotonic()
            assert now - start < PATIENCE_SECONDS, self.output
            if not failed_at and any(process.exitcode for process in self.processes):
                failed_at = now
                for rank in range(len(self.processes)):
                    self.send(signal.SIGTERM, rank)
            elif failed_at and now - failed_at > GRACE_SECONDS:
                self.send(signal.SIGKILL)
            time.sleep(0.01)
        code = self.processes[0].exitcode
        return code if code >= 0 else 128 - code

    @property
    def output(self) -> str:
        """Everything that the processes printed."""
        return Path(self._output_file.name).read_text()
