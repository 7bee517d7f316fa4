"""Ranks, which start at the same time on the same folder and end together."""

import atexit
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PR_SET_PDEATHSIG = 1


def end_with_first_rank() -> None:
    """Let a rank that Lightning started end when rank 0 does, and not before.

    If rank 0 died, it would wait for it for up to half an hour. And before training a Ctrl-C
    reaches both, but only rank 0 may react: Lightning would take the other's end for a crash, and
    kill rank 0.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0" or "RANK" in os.environ:
        return
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def is_first_rank() -> bool:
    """Return whether this is rank 0, which writes and prints; works before there is a Trainer."""
    from pytorch_lightning.utilities.rank_zero import rank_zero_only  # here: see below

    return bool(rank_zero_only.rank == 0)  # type: ignore[attr-defined]


@contextmanager
def first_rank_first(trainer: Any) -> Iterator[None]:
    """Run the block on rank 0 first, and then on the other ranks.

    Rank 0 makes the run's folder and downloads data; the others only read. If it fails, they end
    too. Ranks that Lightning starts need no waiting: it starts them later, in `fit`.
    """
    # not at the top: `end_with_first_rank` must come before these imports, which take seconds
    from pytorch_lightning.plugins.environments import LightningEnvironment

    from lightning_modules.cpu_collectives import CollectiveError, all_gather_object

    strategy = trainer.strategy
    environment = getattr(strategy, "cluster_environment", None)
    start_together = trainer.world_size > 1 and not isinstance(environment, LightningEnvironment)
    if not start_together:
        yield
        return
    strategy.setup_environment()
    if not trainer.is_global_zero:
        reason = all_gather_object(None)[0]
        if reason is not None:
            raise CollectiveError(reason)
        yield
        return
    try:
        yield
    except BaseException as error:
        all_gather_object(str(error) or type(error).__name__)
        raise
    all_gather_object(None)


def skip_group_shutdown_at_exit() -> None:
    """Let this rank end when it alone has failed.

    At exit Lightning would destroy NCCL's groups, which waits for the other ranks while they wait
    for this one.
    """
    with suppress(ImportError):  # not part of Lightning's public API
        from lightning_fabric.utilities.distributed import _destroy_dist_connection

        atexit.unregister(_destroy_dist_connection)
