"""Processes that start at the same time on the same folder, and end together."""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def first_rank_first(trainer: Any) -> Iterator[None]:
    """Let the first rank do its part alone, and the others theirs after it.

    It makes the run's folder and fetches data; they only look. Where Lightning starts the others,
    it does so afterwards, in `fit`.
    """
    # not at the top: a process should know its parent before seconds of imports
    from pytorch_lightning.plugins.environments import LightningEnvironment

    strategy = trainer.strategy
    environment = getattr(strategy, "cluster_environment", None)
    at_once = trainer.world_size > 1 and not isinstance(environment, LightningEnvironment)
    if at_once:
        strategy.setup_environment()
    if at_once and not trainer.is_global_zero:
        strategy.barrier("the first rank first")
    yield
    if at_once and trainer.is_global_zero:
        strategy.barrier("the first rank first")
