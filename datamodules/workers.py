"""Loader processes: how many there is room for, and that they leave it to the run when it ends."""

import os
import signal
import threading


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # on macOS there is none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave_signals_to_the_run(worker: int) -> None:
    """Let Ctrl-C and SIGTERM, which often reach all processes, be answered by the run alone.

    A worker that died of them would break the step that the run wants to finish first. Only the run
    itself ends a worker by SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # on macOS there is none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_for, args=(os.getppid(),), daemon=True).start()


def _end_for(parent: int) -> None:
    # a handler would not learn who sent it
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
