"""Data loader workers: how many cores there are for them, and how they treat signals."""

import os
import signal
import threading


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def leave_signals_to_parent(worker: int) -> None:
    """Make a worker ignore Ctrl-C, and SIGTERM from any process but its parent, the run.

    These signals often reach all processes, but a worker that died of them would break the step
    that the run finishes before it stops. On macOS, SIGTERM is not ignored.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_sigterm_from, args=(os.getppid(),), daemon=True).start()


def _exit_on_sigterm_from(parent: int) -> None:
    # a signal handler would not learn who sent it
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
