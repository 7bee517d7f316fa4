"""Means and sums over two real processes (gloo)."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, multiprocessing

from lightning_modules.distributed import Alone, ranks


def _worker(rank: int, store: str, results: Any) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    together, apart = ranks("global"), ranks("replica")
    tensors = [torch.full((2, 3), float(rank)), torch.tensor([10.0 * rank])]
    results[rank] = (
        [tensor.tolist() for tensor in together.mean(tensors)],
        together.sum(torch.tensor(1.0 + rank)).item(),
        together.size,
        [tensor.tolist() for tensor in apart.mean(tensors)],
        apart.sum(torch.tensor(1.0 + rank)).item(),
        apart.size,
    )
    distributed.destroy_process_group()


@pytest.mark.ddp
def test_two_ranks_agree_on_means_and_sums(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        results = manager.dict()
        workers = [
            context.Process(target=_worker, args=(rank, str(tmp_path / "store"), results))
            for rank in range(2)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0]
        for rank in range(2):
            mean, total, size, own_mean, own_total, own_size = results[rank]
            assert mean == [[[0.5] * 3] * 2, [5.0]]
            assert (total, size) == (3.0, 2)
            assert own_mean == [[[float(rank)] * 3] * 2, [10.0 * rank]]
            assert (own_total, own_size) == (1.0 + rank, 1)


def test_a_process_alone_is_its_own_mean() -> None:
    alone = ranks("global")
    assert type(alone) is Alone
    assert alone.size == 1
    assert alone.sum(torch.tensor(2.0)).item() == 2.0
