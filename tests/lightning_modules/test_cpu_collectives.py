import pytest

from lightning_modules.cpu_collectives import all_gather_object, own_entry


def test_a_single_rank_gathers_its_own_value() -> None:
    assert own_entry(all_gather_object("said")) == "said"


def test_what_other_ranks_saved_is_not_dropped() -> None:
    with pytest.raises(ValueError, match="checkpoint is of 2 ranks, and there are 1 now"):
        own_entry(["first", "second"])
