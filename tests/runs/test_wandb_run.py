from pathlib import Path

import pytest

from runs.settings import Settings
from runs.wandb_run import config, group, run_id, tags
from tests.compose import settings


def test_runs_over_seeds_share_a_group_and_nothing_else_does() -> None:
    name = group(settings())
    assert name.startswith("digits_asym-0.4-ieg-resnet11-")
    harmless = ("seed=7", "data_dir=elsewhere", "trainer=cpu", "logger=csv", "run_dir=there")
    assert group(settings(*harmless)) == name
    others = [
        "noise=0.2",
        "method=l2r",
        "model=resnet29",
        "method.ce_factor=5",
        "probe_per_class=5",
        "noise_model=pair_flip",
        "imbalance=10",
        "max_steps=100",
    ]
    groups = {one: group(settings(one)) for one in others}
    assert len({name, *groups.values()}) == len(others) + 1
    assert groups["noise_model=pair_flip"].startswith("digits_asym-pair_flip-0.4-ieg")
    assert groups["imbalance=10"].startswith("digits_asym-0.4-10-ieg")


def test_what_people_noted_has_no_rate_in_its_group() -> None:
    annotated = group(settings("dataset=cifar10n", "dataset.annotation=aggre"))
    assert annotated.startswith("cifar10n_aggre-ieg-resnet29-")


def test_tags_say_what_was_chosen() -> None:
    assert tags(settings("method=l2r")) == ["digits_asym", "noise=0.4", "l2r", "resnet11"]
    more = settings("noise_model=pair_flip", "imbalance=10", "logger.tags=[mine,l2r]", "method=l2r")
    assert tags(more) == [
        *("mine", "l2r", "digits_asym", "pair_flip", "noise=0.4", "imbalance=10", "resnet11")
    ]
    (long, *_) = tags(settings(f"logger.tags=[{'x' * 80}]"))
    assert len(long) == 64  # or W&B refuses the run


@pytest.fixture
def told() -> Settings:
    return config(settings("method=l2r", "method.meta_step_size=0.2"), {"effective_noise": 0.21})


def test_the_config_has_both_rates_and_what_sweeps_set_under_their_names(told: Settings) -> None:
    assert (told["noise"], told["effective_noise"]) == (0.4, 0.21)
    assert (told["dataset"], told["method"], told["seed"]) == ("digits_asym", "l2r", 12345)
    assert told["settings"]["method"]["meta_step_size"] == 0.2
    assert told["settings"]["dataset"]["noise_model"] == "asymmetric"


def test_a_run_keeps_its_id_and_an_agents_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "somebodys")  # no sweep's
    monkeypatch.delenv("WANDB_SWEEP_ID", raising=False)
    ours = run_id(tmp_path)
    assert ours != "somebodys"
    assert run_id(tmp_path) == ours
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    assert run_id(tmp_path) == "somebodys"
    monkeypatch.delenv("WANDB_SWEEP_ID")
    assert run_id(tmp_path) == "somebodys"  # going on by hand
