"""Says how to resume a run that a signal or an error ended."""

import os
import shlex
import signal
import sys
import threading
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from pytorch_lightning.callbacks import Callback

from callbacks.evaluations import Evaluations
from callbacks.stop_signals import signal_name
from runs.folder import RunFolder
from runs.settings import command

# The launcher that runs a multirun's jobs in its own process: a signal ends all of them.
_IN_PROCESS_LAUNCHER = "BasicLauncher"


def resume_message(folder: RunFolder, trainer: pl.Trainer, signum: int) -> str:
    """Return a message that says what was saved and which command resumes.

    Args:
        folder: the run's.
        trainer: the run's.
        signum: the signal that ended the run; 0: an error did, which ends only this job.
    """
    state = (
        f"saved after step {_last_saved_step(trainer):,}"
        if folder.existing_checkpoints
        else "nothing saved"
    )
    reason, command_to_resume = "an error", command()
    if signum:
        reason, command_to_resume = signal_name(signum), _multirun_command() or command_to_resume
    return f"\nstopped by {reason}, {state}; to go on, type\n  {command_to_resume}"


def _last_saved_step(trainer: pl.Trainer) -> int:
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return int(next(one.saved_step for one in callbacks if isinstance(one, Evaluations)))


def _multirun_command() -> str | None:
    """Return the command of the multirun whose jobs this process runs, or None."""
    if not HydraConfig.initialized() or HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    hydra = HydraConfig.get()
    if not hydra.launcher["_target_"].endswith(_IN_PROCESS_LAUNCHER):
        return None
    words = sys.argv[1:]
    if not any(word.startswith("hydra.sweep.dir=") for word in words):
        words.append(f"hydra.sweep.dir={hydra.sweep.dir}")
    return shlex.join(["python", "train.py", *words])


class ResumeMessage(Callback):
    """Says how to resume when a signal ends the process at once, as it does after training.

    By then the labels are judged once more, and the results are written. With several ranks it says
    nothing: Python runs a handler only after the current call, which may wait for another rank
    for ever.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._trainer: Any = None
        self._process = 0

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals; `StopSignals` restores their handlers."""
        self._trainer, self._process = trainer, os.getpid()
        if trainer.world_size > 1 or threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is signal.SIG_DFL:
                signal.signal(signum, self._end)

    def _end(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() == self._process:  # not in a loader's process
            text = resume_message(self._folder, self._trainer, signum)
            # not print: the signal may have struck inside one
            os.write(2, f"{text}\n".encode(errors="surrogateescape"))
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
