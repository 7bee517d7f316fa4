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
from runs.network import checkpoint_file, folder_of
from runs.settings import ADDED, Settings, before, is_harmless, key_of, overrides


class Reopened(NamedTuple):
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
        return folder_of(self.path)


def reopen(settings: Settings, stage: str) -> Reopened:
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
    made = merge(saved["experiment"]["settings"], settings, overrides(), path)
    data = build_data(_by_what_was_kept(made, path))
    schedule, plan = build_schedule(made, data)
    data.prepare_data()
    data.setup(stage)
    if saved["experiment"]["manifest"] != data.manifest.hash:
        raise ValueError(
            f"{path} was trained on other pictures or labels than its settings give now: what is "
            "in data_dir, or a list that they name (labels, dataset.trusted), has changed since."
        )
    module = build_module(made, data, schedule)
    module.load_state_dict(saved["state_dict"])
    return Reopened(path, saved, made, data, plan, module)


def _by_what_was_kept(made: Settings, path: Path) -> Settings:
    """Return the settings with the lists that the run's folder keeps for those that they name.

    Those may have been filled in, written anew or moved since.
    """
    folder, dataset = folder_of(path), dict(made["dataset"])
    if folder is None:
        return made
    if (folder / LISTING_FILE).exists():
        dataset["kept"] = str(folder / LISTING_FILE)
    labels, drawn = dataset.get("labels"), folder / "labels.npz"
    if labels and drawn.exists() and (labels.endswith(".npz") or "kept" not in dataset):
        dataset["labels"] = str(drawn)
    return {**made, "dataset": dataset}


def find_checkpoint(settings: Settings) -> Path:
    """Return the checkpoint file that `checkpoint` names; null: the last one of the command's run.

    Raises:
        ValueError: if there is none.
    """
    given = Path(settings["checkpoint"] or RunFolder(settings).last)
    path = checkpoint_file(given)
    if path is None:
        raise ValueError(
            f"There is no checkpoint at {given}: give checkpoint=<file or run folder>, or the "
            "settings of a run that was trained here."
        )
    return path


def merge(made: Settings, given: Settings, words: Sequence[str], path: Path) -> Settings:
    """Return the checkpoint's settings, with the command's changes to where and how to compute.

    The Trainer is the command's, so that a network trained on many devices can be evaluated on one;
    only the precision is the checkpoint's, because it changes the numbers.

    Raises:
        ValueError: naming the key that contradicts the checkpoint.
    """
    merged = deepcopy(made)
    merged["trainer"] = {**given["trainer"], "precision": made["trainer"]["precision"]}
    merged["audit"] = given["audit"]
    for word in words:
        key = key_of(word)
        free = is_harmless(key) or (key.startswith("trainer.") and key != "trainer.precision")
        ours, theirs = _look_up(given, key), _look_up(made, key)
        if theirs is None and key in ADDED:  # an earlier version had no such key
            theirs = before(key, made)
        if not free and ours != theirs:
            raise ValueError(
                f"{path} was made with {key}={theirs}, not {key}={ours}: leave {key} out, or give "
                "a checkpoint that fits."
            )
        if key == "data_dir":
            merged["dataset"] = _moved(merged["dataset"], made["data_dir"], ours)
        elif key.startswith("dataset."):
            merged["dataset"][key.removeprefix("dataset.")] = ours
    return merged


def _moved(dataset: Settings, old: str, new: str) -> Settings:
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
