import pytest

from lightning_modules.messages import everyones, mine


def test_alone_a_rank_hears_itself() -> None:
    assert mine(everyones("said")) == "said"


def test_what_other_ranks_saved_is_not_dropped() -> None:
    with pytest.raises(ValueError, match="checkpoint is of 2 ranks, and there are 1 now"):
        mine(["first", "second"])
