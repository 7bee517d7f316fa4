"""Processes that start at the same time on the same folder, and end together."""

import atexit
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Let a rank that Lightning started end when the first one does, and not before.

    Without the first rank it would wait for it up to half an hour. And a Ctrl-C, which reaches both
    before training, is answered by the first: Lightning takes the other's end for a crash and kills
    the first one.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0" or "RANK" in os.environ:
        return
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def is_first_rank() -> bool:
    """Return whether this process is the one that writes and speaks; known before a Trainer is."""
    from pytorch_lightning.utilities.rank_zero import rank_zero_only  # see below

    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


@contextmanager
def first_rank_first(trainer: Any) -> Iterator[None]:
    """Let the first rank do its part alone, and the others theirs after it.

    It makes the run's folder and fetches data; they only look. If it fails, they end with it. Where
    Lightning starts the others, it does so afterwards, in `fit`.
    """
    # not at the top: a process should know its parent before seconds of imports
    from pytorch_lightning.plugins.environments import LightningEnvironment

    from lightning_modules.messages import AgreedError, everyones

    strategy = trainer.strategy
    environment = getattr(strategy, "cluster_environment", None)
    at_once = trainer.world_size > 1 and not isinstance(environment, LightningEnvironment)
    if not at_once:
        yield
        return
    strategy.setup_environment()
    if not trainer.is_global_zero:
        reason = everyones(None)[0]
        if reason is not None:
            raise AgreedError(reason)
        yield
        return
    try:
        yield
    except BaseException as error:
        everyones(str(error) or type(error).__name__)
        raise
    everyones(None)


def leave_at_once() -> None:
    """Let a process of which only this one failed end without the others.

    Lightning would destroy NCCL's groups as it ends, which waits for the others, who wait for it.
    """
    with suppress(ImportError):  # a part of Lightning that it does not promise to keep
        from lightning_fabric.utilities.distributed import _destroy_dist_connection

        atexit.unregister(_destroy_dist_connection)
