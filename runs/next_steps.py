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
_ALL = {"dataset.train_per_class": None, "imbalance": 1}

Step = tuple[str, str]


def next_steps(command: str, folder: Path, dataset: Mapping[str, Any]) -> list[Step]:
    """Return what to do next with the files of a run, each as (purpose, command).

    Args:
        command: of the run.
        folder: of the run.
        dataset: settings of the data set.
    """
    words = shlex.split(command)[2:]
    earlier = [word.partition("=")[2] for word in words if word.startswith("dataset.trusted=")]
    checked = [*(one.strip("[]") for one in earlier), hydra_quoted(folder / NEXT)]
    trusted = checked[0] if len(checked) == 1 else f"[{','.join(checked)}]"
    kept = [word for word in words if key_of(word) not in _LEFT_OUT]
    if dataset["name"] == "folder":
        cleaned = [f"labels={hydra_quoted(folder / CLEANED)}"]
    else:
        draws = f"labels={hydra_quoted(folder / CLEANED_DRAWS)}"
        cleaned = [draws, "noise=null", *_all(words, dataset)]
    own = ["run_dir", "fresh", "dataset.trusted"]
    every = []
    if dataset["name"] == "folder" and dataset["probe_per_class"] is not None:
        own += ["probe_per_class", "dataset.probe_per_class"]
        every = ["probe_per_class=null"]  # or else the probe set stays as large as before
    same = [word for word in words if key_of(word) not in own] + every
    again = ("train again, on the cleaned labels", _line([*kept, *cleaned]))
    if "trusted" not in dataset:
        return [again]
    return [
        again,
        (
            f"or fill in the column true_label of {folder / NEXT}, and train with these trusted",
            _line([*same, f"dataset.trusted={trusted}"]),
        ),
    ]


def _all(words: Sequence[str], dataset: Mapping[str, Any]) -> list[str]:
    """Return the overrides by which all data are used, if a key for a part of them was set."""
    return [
        f"{key}={'null' if whole is None else whole}"
        for key, whole in _ALL.items()
        if key in map(key_of, words) or dataset.get(key.removeprefix("dataset."), whole) != whole
    ]


def _line(words: Sequence[str]) -> str:
    return shlex.join(["python", "train.py", *words])
