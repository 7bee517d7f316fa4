"""The commands to suggest after a run: train on the cleaned labels, or with more trusted ones."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit.files import CLEANED, CLEANED_DRAWS, NEXT
from datamodules.phrases import hydra_quoted
from runs.settings import key_of

# Keys that are left out: the cleaned labels replace them, or they belong to one run.
_LEFT_OUT = (
    "labels", "noise", "noise_model", "imbalance", "dataset.train_per_class", "dataset.trusted",
    "dataset.table", "dataset.draws", "run_dir", "fresh", "mode", "checkpoint",
)  # fmt: skip

# Values given instead, because an experiment may have set others: cleaned labels are used whole.
_ALL_DATA = {"dataset.train_per_class": None, "imbalance": 1}

Step = tuple[str, str]


def next_steps(command: str, folder: Path, dataset: Mapping[str, Any]) -> list[Step]:
    """Return what to do next with the files of a run, each as (purpose, command).

    Args:
        command: of the run.
        folder: of the run.
        dataset: settings of the data set.
    """
    overrides = shlex.split(command)[2:]
    trusted_before = [
        word.partition("=")[2] for word in overrides if word.startswith("dataset.trusted=")
    ]
    checked = [*(value.strip("[]") for value in trusted_before), hydra_quoted(folder / NEXT)]
    trusted = checked[0] if len(checked) == 1 else f"[{','.join(checked)}]"
    kept_overrides = [word for word in overrides if key_of(word) not in _LEFT_OUT]
    if dataset["name"] == "folder":
        cleaned = [f"labels={hydra_quoted(folder / CLEANED)}"]
    else:
        cleaned_draws = f"labels={hydra_quoted(folder / CLEANED_DRAWS)}"
        cleaned = [cleaned_draws, "noise=null", *_all_data_overrides(overrides, dataset)]
    keys_of_run = ["run_dir", "fresh", "dataset.trusted"]
    probe_override = []
    if dataset["name"] == "folder" and dataset["probe_per_class"] is not None:
        keys_of_run += ["probe_per_class", "dataset.probe_per_class"]
        probe_override = ["probe_per_class=null"]  # or else the probe set stays as large as before
    repeated = [word for word in overrides if key_of(word) not in keys_of_run] + probe_override
    train_cleaned = (
        "train again, on the cleaned labels",
        _command_line([*kept_overrides, *cleaned]),
    )
    if "trusted" not in dataset:
        return [train_cleaned]
    return [
        train_cleaned,
        (
            f"or fill in the column true_label of {folder / NEXT}, and train with these trusted",
            _command_line([*repeated, f"dataset.trusted={trusted}"]),
        ),
    ]


def _all_data_overrides(overrides: Sequence[str], dataset: Mapping[str, Any]) -> list[str]:
    """Return the overrides by which all data are used, if a key for a part of them was set."""
    return [
        f"{key}={'null' if value is None else value}"
        for key, value in _ALL_DATA.items()
        if key in map(key_of, overrides)
        or dataset.get(key.removeprefix("dataset."), value) != value
    ]


def _command_line(overrides: Sequence[str]) -> str:
    return shlex.join(["python", "train.py", *overrides])
