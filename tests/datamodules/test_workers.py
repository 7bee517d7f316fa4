import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datamodules.workers import available_cores

ROOT = Path(__file__).parents[2]

# At its end the loader is still held, so its workers are ended by signals.
LOADING = """
import sys
from torch.utils.data import DataLoader
from datamodules.workers import leave_signals_to_parent
loader = DataLoader(
    range(1000), batch_size=None, num_workers=1, persistent_workers=True, prefetch_factor=1,
    worker_init_fn=leave_signals_to_parent,
)
batches = iter(loader)
next(batches)
print(batches._workers[0].pid, flush=True)
for _ in range(100):
    sys.stdin.readline()
    print(next(batches), flush=True)
"""


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 6}, raising=False)
    assert available_cores() == 3


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system cannot tell who asks")
def test_workers_outlive_the_signals_but_not_the_run() -> None:
    words = [sys.executable, "-c", LOADING]
    run = subprocess.Popen(words, cwd=ROOT, stdin=-1, stdout=-1, stderr=-1, text=True)
    assert run.stdin is not None
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.kill(worker, signum)
        time.sleep(0.2)
        run.stdin.write("go on\n" * 5)
        run.stdin.flush()
        for _ in range(5):
            assert run.stdout.readline().strip().isdigit()
    try:
        _, said = run.communicate("go on\n" * 85, timeout=30)
    finally:
        run.kill()
    assert run.returncode == 0, said
    assert not Path(f"/proc/{worker}").exists()
