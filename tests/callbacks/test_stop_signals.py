import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callbacks.stop_signals import Stopped, StopSignals

ROOT = Path(__file__).parents[2]

# A step that takes long: the first Ctrl-C waits for it, the second does not.
LONG_STEP = """
import signal, sys, time
from callbacks.stop_signals import StopSignals
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
with StopSignals() as signals:
    if sys.argv[1] == "training":
        signals.on_train_start(None, None)
    print("ready", flush=True)
    for _ in range(300):
        time.sleep(0.1)
"""


def start(where: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", LONG_STEP, where]
    run = subprocess.Popen(words, cwd=ROOT, stdout=-1, stderr=-1, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    return run


def test_a_second_ctrl_c_stops_at_once_but_one_delivered_twice_does_not() -> None:
    run = start("training")
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(0.3)
    run.send_signal(signal.SIGTERM)
    time.sleep(1.0)
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=5)
    assert run.returncode == -signal.SIGINT
    assert said.count("Ctrl-C: saving after this step") == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_before_training_a_signal_ends_the_process(signum: int) -> None:
    run = start("setup")
    run.send_signal(signum)
    run.communicate(timeout=5)
    assert run.returncode == -signum


def test_what_breaks_because_of_the_signal_ends_with_its_code() -> None:
    signals = StopSignals()

    def train(kill: bool) -> None:
        with signals:
            signals.on_train_start(None, None)  # type: ignore[arg-type]
            if kill:
                os.kill(os.getpid(), signal.SIGTERM)
            raise RuntimeError("Connection closed by peer")

    with pytest.raises(Stopped) as stopped:
        train(kill=True)
    assert stopped.value.code == 143
    with pytest.raises(RuntimeError):
        train(kill=False)
