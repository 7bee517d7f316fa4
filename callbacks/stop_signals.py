"""Ctrl-C and SIGTERM: the handler only records them; the run stops once its state is complete."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from lightning_modules.cpu_collectives import rank

# A Ctrl-C may arrive twice: from the terminal, and passed on by programs between it and us.
_SAME_CTRL_C = 1.0  # seconds


def signal_name(signum: int) -> str:
    """Return a signal's everyday name."""
    return "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name


class Stopped(SystemExit):
    """End the run on a signal, with the exit code that shells give to that signal: 130 or 143.

    Only the first rank has that code, the others 0: where Lightning starts the others, it takes
    their code for a crash and kills the first one while it is still printing.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum if rank() == 0 else 0)
        self.signum = signum


class StopSignals(Callback):
    """Record Ctrl-C and SIGTERM during training, for other callbacks to check between steps.

    Use it as a context around `fit`, so that an error caused by the signal (such as a rank that is
    already gone) ends with the signal's exit code. Before the first step there is nothing to save,
    and after the last everything is saved: there a signal ends the process at once, even during a
    call that waits for another rank. So does a second Ctrl-C.

    Attributes:
        received: the signal that asks the run to stop, or 0.
    """

    def __init__(self) -> None:
        self.received = 0
        self._received_at = 0.0
        self._previous_handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        """Take over the signal handlers."""
        self.received = 0
        if threading.current_thread() is threading.main_thread():
            self._previous_handlers = {
                signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)
            }
        self._end_at_once()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Restore the signal handlers."""
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler)
        self._previous_handlers = {}
        if error is not None and self.received and not isinstance(error, Stopped | ValueError):
            raise Stopped(self.received) from error

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record signals from now on: they are checked after each step."""
        for signum in self._previous_handlers:
            signal.signal(signum, self._record)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let signals end the process at once again: nothing checks them any more."""
        self._end_at_once()

    def _end_at_once(self) -> None:
        for signum, handler in self._previous_handlers.items():
            signal.signal(signum, handler if handler is signal.SIG_IGN else signal.SIG_DFL)

    def _record(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if signum == self.received == signal.SIGINT and now - self._received_at > _SAME_CTRL_C:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        if not self.received:
            self.received, self._received_at = signum, now
            if rank() == 0:
                # not print: the signal may have interrupted one
                text = f"\n{signal_name(signum)}: saving after this step (Ctrl-C again: at once)\n"
                os.write(2, text.encode())
