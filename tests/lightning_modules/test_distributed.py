"""Means and sums over two real processes (gloo)."""

from typing import Any

import pytest
import torch
from torch import distributed

from benchmarks.ranks import Ranks
from lightning_modules.distributed import Alone, ranks


def means_and_sums() -> Any:
    distributed.init_process_group("gloo")
    rank = distributed.get_rank()
    tensors = [torch.full((2, 3), float(rank)), torch.tensor([10.0 * rank])]
    return [
        (
            [tensor.tolist() for tensor in those.mean(tensors)],
            those.sum(torch.tensor(1.0 + rank)).item(),
            those.size,
        )
        for those in (ranks("global"), ranks("replica"))
    ]


@pytest.mark.ddp
def test_two_ranks_agree_on_means_and_sums(ranks: Ranks) -> None:
    for rank, (together, apart) in enumerate(ranks.run(2, means_and_sums)):
        assert together == ([[[0.5] * 3] * 2, [5.0]], 3.0, 2)
        assert apart == ([[[float(rank)] * 3] * 2, [10.0 * rank]], 1.0 + rank, 1)


def test_a_process_alone_is_its_own_mean() -> None:
    alone = ranks("global")
    assert type(alone) is Alone
    assert alone.size == 1
    assert alone.sum(torch.tensor(2.0)).item() == 2.0
