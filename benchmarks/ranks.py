"""Processes that act as the ranks of a run: started once, used many times."""

import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import distributed, multiprocessing

# A rank would wait for ever for one that died; nothing here takes as long as this.
PATIENCE_SECONDS = 240


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RankPool:
    """A pool of processes with one thread each, started when first needed."""

    def __init__(self) -> None:
        self._workers: list[tuple[Any, Connection]] = []

    def run(self, world_size: int, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Return the results of `function(*args)`, by rank.

        Args:
            world_size: number of ranks.
            function: importable by name; it may start a Trainer or a process group.
            args: picklable, the same for all ranks.

        Raises:
            AssertionError: if ranks failed, with their tracebacks; the pool's processes are ended.
        """
        self._start_workers(world_size)
        port = free_port()
        for rank in range(world_size):
            environment = {
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "WORLD_SIZE": str(world_size),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "NODE_RANK": "0",
            }
            self._workers[rank][1].send_bytes(pickle.dumps((environment, function, args)))
        results = [self._receive(rank) for rank in range(world_size)]
        failed = [f"rank {rank}: {text}" for rank, (text, _) in enumerate(results) if text]
        if failed:
            self.close()
            raise AssertionError("\n".join(failed))
        return [value for _, value in results]

    def close(self) -> None:
        """End the processes."""
        for process, _ in self._workers:
            process.terminate()
            process.join()
        self._workers.clear()

    def _start_workers(self, world_size: int) -> None:
        # Not forked: autograd does not work in a fork of a process that has used its threads.
        context = multiprocessing.get_context("spawn")
        while len(self._workers) < world_size:
            our_end, their_end = context.Pipe()
            process = context.Process(target=_serve, args=(their_end,), daemon=True)
            process.start()
            self._workers.append((process, our_end))

    def _receive(self, rank: int) -> tuple[str, Any]:
        process, connection = self._workers[rank]
        try:
            if connection.poll(PATIENCE_SECONDS):
                result: tuple[str, Any] = pickle.loads(connection.recv_bytes())
                return result
        except EOFError:
            return f"died with exit code {process.exitcode}", None
        return f"said nothing for {PATIENCE_SECONDS} s", None


def _serve(connection: Connection) -> None:
    torch.set_num_threads(1)
    while True:
        environment, function, args = pickle.loads(connection.recv_bytes())
        os.environ.update(environment)
        try:
            reply = pickle.dumps(("", function(*args)))
        except BaseException:
            reply = pickle.dumps((traceback.format_exc(), None))
        finally:
            if distributed.is_initialized():
                distributed.destroy_process_group()
        connection.send_bytes(reply)
