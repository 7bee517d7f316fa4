import os
from types import SimpleNamespace
from typing import Any

import pytest
from torch import distributed

from benchmarks.ranks import RankPool
from runs.ranks import first_rank_first

pytestmark = [pytest.mark.ddp, pytest.mark.slow]


def act(fails: bool) -> str:
    """Return what became of this rank."""
    strategy = SimpleNamespace(
        cluster_environment=None,
        setup_environment=lambda: distributed.init_process_group("gloo"),
    )
    first = os.environ["RANK"] == "0"
    trainer: Any = SimpleNamespace(strategy=strategy, world_size=2, is_global_zero=first)
    try:
        with first_rank_first(trainer):
            if first and fails:
                raise ValueError("there are no data")
            return "went on"
    except ValueError as error:
        elsewhere = getattr(error, "reported_by_another_rank", False)
        return f"{error}, reported by another rank: {elsewhere}"


def test_where_the_first_rank_fails_the_others_end_with_it(rank_pool: RankPool) -> None:
    said = rank_pool.run(2, act, True)
    assert said[0] == "there are no data, reported by another rank: False"
    assert said[1] == "there are no data, reported by another rank: True"


def test_where_it_does_not_all_go_on(rank_pool: RankPool) -> None:
    assert rank_pool.run(2, act, False) == ["went on", "went on"]
