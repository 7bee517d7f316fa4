"""Loader processes that leave it to the run when it ends."""

import signal


def ignore_signals(worker: int) -> None:
    """Let Ctrl-C and SIGTERM, which often reach all processes, be answered by the run alone.

    A worker that died of them would break the step that the run wants to finish first. Workers end
    when the run closes its loader, or a few seconds after it is gone.
    """
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
