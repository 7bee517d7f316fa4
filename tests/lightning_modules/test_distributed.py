"""Means and sums over two real processes (gloo)."""

from typing import Any

import pytest
import torch
from torch import distributed

from benchmarks.ranks import RankPool
from lightning_modules.distributed import SingleRank, deciding_ranks


def means_and_sums() -> Any:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    tensors = [torch.full((2, 3), float(rank)), torch.tensor([10.0 * rank])]
    return [
        (
            [tensor.tolist() for tensor in deciding.mean(tensors)],
            deciding.sum(torch.tensor(1.0 + rank)).item(),
            deciding.size,
        )
        for deciding in (deciding_ranks("global"), deciding_ranks("replica"))
    ]


@pytest.mark.ddp
def test_two_ranks_agree_on_means_and_sums(rank_pool: RankPool) -> None:
    for rank, (of_all, of_one) in enumerate(rank_pool.run(2, means_and_sums)):
        assert of_all == ([[[0.5] * 3] * 2, [5.0]], 3.0, 2)
        assert of_one == ([[[float(rank)] * 3] * 2, [10.0 * rank]], 1.0 + rank, 1)


def test_a_process_alone_is_its_own_mean() -> None:
    single = deciding_ranks("global")
    assert type(single) is SingleRank
    assert single.size == 1
    assert single.sum(torch.tensor(2.0)).item() == 2.0
