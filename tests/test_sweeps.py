"""`sweeps/*.yaml`: every command an agent would type composes."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps import utils

from runs.check import check_settings
from tests.compose import ROOT, settings

FILES = sorted((ROOT / "sweeps").glob("*.yaml"))


def ends(parameter: dict[str, Any]) -> list[Any]:
    """All values of a parameter, or the ends of its range."""
    if "values" in parameter:
        return list(parameter["values"])
    if "value" in parameter:
        return [parameter["value"]]
    return [parameter["min"], parameter["max"]]


def typed(sweep: dict[str, Any], chosen: dict[str, Any]) -> list[str]:
    """What the agent runs, put together by wandb's own functions."""
    arguments = {name: {"value": value} for name, value in chosen.items()}
    filled = {**utils.create_sweep_command_args({"args": arguments}), "env": ["/usr/bin/env"]}
    words: list[str] = []
    for word in utils.create_sweep_command(list(sweep["command"])):
        words += filled[word[2:-1]] if word.startswith("${") else [word]
    return words


def test_there_are_sweeps() -> None:
    assert len(FILES) >= 4


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_of_a_sweep_composes(file: Path) -> None:
    sweep = utils.load_sweep_config(str(file))
    assert sweep is not None
    assert sweep.keys() <= {
        *("name", "project", "program", "command", "method", "metric", "run_cap", "parameters")
    }
    assert (ROOT / sweep["program"]).exists()
    assert sweep["project"] == settings()["logger"]["project"]
    names = list(sweep["parameters"])
    for values in itertools.product(*(ends(one) for one in sweep["parameters"].values())):
        chosen = dict(zip(names, values, strict=True))
        env, python, program, *overrides = typed(sweep, chosen)
        assert (env, python, program) == ("/usr/bin/env", "python", "train.py")
        made = settings(*overrides)
        check_settings(made)
        for name, value in chosen.items():
            group, _, key = name.partition(".")
            found = made[group][key] if key else made["choices"].get(name, made.get(name))
            assert found == value


def test_no_sweep_selects_by_test_pictures() -> None:
    for file in FILES:
        metric = yaml.safe_load(file.read_text()).get("metric", {"name": "none"})
        assert not metric["name"].startswith("test")
