"""Every combination of data set, method and model composes, and its classes take what it says."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from runs.build import build_data, build_module, build_schedule
from tests.compose import CONF, settings
from tests.datamodules.miniatures import overrides


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


@pytest.mark.parametrize(
    ("dataset", "method", "model"),
    list(itertools.product(choices("dataset"), choices("method"), choices("model"))),
)
def test_every_combination_resolves(dataset: str, method: str, model: str) -> None:
    made = settings(f"dataset={dataset}", f"method={method}", f"model={model}")
    assert made["dataset"]["name"].startswith(dataset)
    assert made["model"]["name"] == model
    assert made["choices"]["method"] == method


@pytest.mark.parametrize("method", choices("method"))
@pytest.mark.parametrize("dataset", choices("dataset"))
def test_every_data_set_and_method_is_built(dataset: str, method: str, tmp_path: Path) -> None:
    small = overrides(dataset, tmp_path)
    made = settings(f"dataset={dataset}", f"method={method}", "model=resnet11", *small)
    data = build_data(made)
    schedule, _ = build_schedule(made, data)
    module = build_module(made, data, schedule)
    assert module.num_classes == data.num_classes


@pytest.mark.parametrize("schedule", choices("schedule"))
@pytest.mark.parametrize("dataset", ["digits_asym", "cifar10_asym"])
def test_every_schedule_makes_a_plan(dataset: str, schedule: str) -> None:
    made = settings(f"dataset={dataset}", f"schedule={schedule}")
    curve, plan = build_schedule(made, build_data(made))
    assert 0 <= curve(plan.max_steps - 1) <= 0.1
    assert plan.max_steps in plan.evaluate_at
    assert plan.cycle_ends <= plan.evaluate_at
    assert max(plan.evaluate_at) == plan.max_steps


@pytest.mark.parametrize("group", ["trainer", "logger"])
def test_other_groups_resolve(group: str) -> None:
    for choice in choices(group):
        assert settings(f"{group}={choice}")[group]


@pytest.mark.parametrize(
    "experiment",
    [
        str(path.relative_to(CONF / "experiment").with_suffix(""))
        for path in (CONF / "experiment").rglob("*.yaml")
    ],
)
def test_every_experiment_resolves_and_the_command_line_wins(experiment: str) -> None:
    made = settings(f"experiment={experiment}", "seed=7", "model=resnet11")
    assert (made["seed"], made["model"]["name"]) == (7, "resnet11")
    assert made["dataset"]["name"] != "digits_asym"


def test_a_data_set_brings_its_network_and_the_command_line_wins() -> None:
    assert settings("dataset=cifar10_asym")["model"]["name"] == "resnet29"
    assert settings("dataset=digits_uniform")["model"]["name"] == "resnet11"
    assert settings("dataset=cifar10_asym", "model=wrn28_10")["model"]["name"] == "wrn28_10"


def test_digits_have_their_own_factors_and_others_the_papers() -> None:
    assert settings()["method"]["ce_factor"] == 1.0
    paper = settings("dataset=cifar100_uniform")["method"]
    assert (paper["ce_factor"], paper["consistency_factor"]) == (5.0, 20.0)
    assert "ce_factor" not in settings("method=l2r")["method"]


def plan(*overrides: str) -> Any:
    made = settings(*overrides)
    return build_schedule(made, build_data(made))[1]


def test_the_default_length_on_cifar_ends_with_a_cycle() -> None:
    found = plan("dataset=cifar10_asym")  # 49,900 noisy examples: 499 steps an epoch
    assert found.max_steps == round(499 * (1.5**13 - 1) / 0.5) == 193_232
    assert found.max_steps == max(found.cycle_ends)


def test_a_length_that_is_asked_for_is_kept() -> None:
    assert plan("dataset=cifar10_asym", "max_steps=600").max_steps == 600
    assert plan("dataset=cifar10_asym", "max_epochs=3").max_steps == 3 * 499
    with pytest.raises(ValueError, match="give one, the other follows"):
        plan("max_steps=10", "max_epochs=1")


def test_evaluations_come_once_an_epoch_and_at_the_ends_of_cycles() -> None:
    found = plan("dataset=cifar10_asym", "max_steps=1300")
    assert sorted(found.evaluate_at) == [499, 998, 1248, 1300]  # 1247.5 ends the second cycle
    assert sorted(found.cycle_ends) == [499, 1248]
    few = plan("max_steps=20", "evaluate_every=8")
    assert sorted(few.evaluate_at) == [8, 16, 20]


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_the_papers_data_sets_have_the_papers_step(dataset: str) -> None:
    made = settings(f"dataset={dataset}", "method=ieg")["method"]
    by_trust = dataset in ("animal10n", "clothing1m", "folder", "food101n")
    assert made["guess_trust"] == (2 if by_trust else 0)
    assert settings(f"dataset={dataset}", "method.guess_trust=1")["method"]["guess_trust"] == 1
    assert "guess_trust" not in settings(f"dataset={dataset}", "method=supervised")["method"]
