import os
from types import SimpleNamespace
from typing import Any

import pytest
from torch import distributed

from benchmarks.ranks import Ranks
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
        return f"{error}, told by another: {getattr(error, 'told_by_another', False)}"


def test_where_the_first_rank_fails_the_others_end_with_it(ranks: Ranks) -> None:
    said = ranks.run(2, act, True)
    assert said[0] == "there are no data, told by another: False"
    assert said[1] == "there are no data, told by another: True"


def test_where_it_does_not_all_go_on(ranks: Ranks) -> None:
    assert ranks.run(2, act, False) == ["went on", "went on"]
