"""Reopens the run of a checkpoint: its settings, data and network."""

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from callbacks.checkpoint_file import load
from datamodules.base import NoisyLabelDataModule
from datamodules.folder import LISTING_FILE
from lightning_modules.base import NoisyLabelModule
from runs.build import Plan, build_data, build_module, build_schedule
from runs.folder import RunFolder
from runs.network import find_checkpoint_file, run_folder_of
from runs.settings import (
    LATER_ADDED_KEYS,
    Settings,
    is_outside_identity,
    key_of,
    overrides,
    value_before_added,
)


class ReopenedRun(NamedTuple):
    """A checkpoint, and the run it belongs to."""

    path: Path
    saved: dict[str, Any]  # its content
    settings: Settings  # of the run; from the command: where and how to compute
    data: NoisyLabelDataModule  # set up
    plan: Plan
    module: NoisyLabelModule

    @property
    def folder(self) -> Path | None:
        """The folder of the run, if the checkpoint lies in one."""
        return run_folder_of(self.path)


def reopen(settings: Settings, stage: str) -> ReopenedRun:
    """Open the checkpoint that the settings name.

    It holds its own settings; those on the command line may only repeat them, or change where and
    how something is computed.

    Args:
        settings: of the command.
        stage: what the data are set up for, `fit` or `test`.

    Raises:
        ValueError: if there is no such checkpoint, or it does not fit the settings or the data.
    """
    path = find_checkpoint(settings)
    saved = load(path)
    run_settings = merge_settings(saved["experiment"]["settings"], settings, overrides(), path)
    data = build_data(_with_kept_lists(run_settings, path))
    schedule, plan = build_schedule(run_settings, data)
    data.prepare_data()
    data.setup(stage)
    if saved["experiment"]["manifest"] != data.manifest.hash:
        raise ValueError(
            f"{path} was trained on other pictures or labels than its settings give now: what is "
            "in data_dir, or a list that they name (labels, dataset.trusted), has changed since."
        )
    module = build_module(run_settings, data, schedule)
    module.load_state_dict(saved["state_dict"])
    return ReopenedRun(path, saved, run_settings, data, plan, module)


def _with_kept_lists(run_settings: Settings, path: Path) -> Settings:
    """Return the settings with the lists that the run's folder keeps for those that they name.

    Those may have been filled in, written anew or moved since.
    """
    folder, dataset = run_folder_of(path), dict(run_settings["dataset"])
    if folder is None:
        return run_settings
    if (folder / LISTING_FILE).exists():
        dataset["kept"] = str(folder / LISTING_FILE)
    labels, drawn_labels = dataset.get("labels"), folder / "labels.npz"
    if labels and drawn_labels.exists() and (labels.endswith(".npz") or "kept" not in dataset):
        dataset["labels"] = str(drawn_labels)
    return {**run_settings, "dataset": dataset}


def find_checkpoint(settings: Settings) -> Path:
    """Return the checkpoint file that `checkpoint` names; null: the last one of the command's run.

    Raises:
        ValueError: if there is none.
    """
    given = Path(settings["checkpoint"] or RunFolder(settings).last_checkpoint)
    path = find_checkpoint_file(given)
    if path is None:
        raise ValueError(
            f"There is no checkpoint at {given}: give checkpoint=<file or run folder>, or the "
            "settings of a run that was trained here."
        )
    return path


def merge_settings(
    saved: Settings, of_command: Settings, command_overrides: Sequence[str], path: Path
) -> Settings:
    """Return the checkpoint's settings, with the command's changes to where and how to compute.

    The Trainer is the command's, so that a network trained on many devices can be evaluated on one;
    only the precision is the checkpoint's, because it changes the numbers.

    Raises:
        ValueError: naming the key that contradicts the checkpoint.
    """
    merged = deepcopy(saved)
    merged["trainer"] = {**of_command["trainer"], "precision": saved["trainer"]["precision"]}
    merged["audit"] = of_command["audit"]
    for override in command_overrides:
        key = key_of(override)
        may_differ = is_outside_identity(key) or (
            key.startswith("trainer.") and key != "trainer.precision"
        )
        given_value, saved_value = _look_up(of_command, key), _look_up(saved, key)
        if saved_value is None and key in LATER_ADDED_KEYS:  # an earlier version had no such key
            saved_value = value_before_added(key, saved)
        if not may_differ and given_value != saved_value:
            raise ValueError(
                f"{path} was made with {key}={saved_value}, not {key}={given_value}: leave {key} "
                "out, or give a checkpoint that fits."
            )
        if key == "data_dir":
            merged["dataset"] = _move_paths(merged["dataset"], saved["data_dir"], given_value)
        elif key.startswith("dataset."):
            merged["dataset"][key.removeprefix("dataset.")] = given_value
    return merged


def _move_paths(dataset: Settings, old: str, new: str) -> Settings:
    """Return a data set's settings with every path in the folder `old` moved to `new`."""
    return {
        key: new + value[len(old) :]
        if isinstance(value, str) and (value == old or value.startswith(f"{old}/"))
        else value
        for key, value in dataset.items()
    }


def _look_up(settings: Settings, key: str) -> Any:
    """Return a group's choice or a nested value."""
    if key in settings["choices"]:
        return settings["choices"][key]
    value: Any = settings
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
