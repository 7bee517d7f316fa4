"""`mode=evaluate`: judge a checkpoint, and get the very number that training reported."""

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from callbacks.checkpoint_file import LAST, load
from runs.build import build_data, build_module, build_schedule, build_trainer
from runs.folder import RunFolder, write_atomically
from runs.settings import Settings, is_harmless

Results = dict[str, Any]


def evaluate(settings: Settings, overrides: Sequence[str]) -> Results:
    """Evaluate a checkpoint on the test set of its own data set.

    The checkpoint knows its settings; those given on the command line may only repeat them, or
    change where and how it is computed.

    Args:
        settings: of the command.
        overrides: what the command line gave, such as `["model=resnet29"]`.

    Raises:
        ValueError: if there is no such checkpoint, or it is of something else.
    """
    path = find_checkpoint(settings)
    saved = load(path)
    made = merge(saved["experiment"]["settings"], settings, overrides, path)
    data = build_data(made)
    schedule, _ = build_schedule(made, data)
    module = build_module(made, data, schedule)
    module.load_state_dict(saved["state_dict"])
    data.prepare_data()
    data.setup("test")
    if saved["experiment"]["manifest"] != data.manifest.hash:
        raise ValueError(
            f"{path} was trained on other draws of noise and probe than its settings give now: the "
            "data in data_dir have changed since."
        )
    trainer = build_trainer(made, max_steps=1, callbacks=[])
    trainer.test(module, datamodule=data, verbose=False)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    results = {"checkpoint": str(path), "steps": saved["global_step"], **metrics}
    if path.parent.name == "checkpoints" and trainer.is_global_zero:
        name = f"evaluation-{path.stem}.json"
        write_atomically(path.parent.parent / name, json.dumps(results, indent=2))
    return results


def find_checkpoint(settings: Settings) -> Path:
    """Return the checkpoint file that `checkpoint` names, or this command's own run's last.

    Raises:
        ValueError: if it is not there.
    """
    given = settings["checkpoint"]
    path = Path(given) if given else RunFolder(settings).last
    if path.is_dir():
        path = path / "checkpoints" / LAST
    if not path.is_file():
        raise ValueError(
            f"There is no checkpoint at {path}: give checkpoint=<file or run folder>, or the "
            "settings of a run that was trained here."
        )
    return path


def merge(made: Settings, given: Settings, overrides: Sequence[str], path: Path) -> Settings:
    """Return the checkpoint's settings, changed where the command line says where and how.

    The Trainer is the command's: a network trained on many devices may be judged on one. Its
    precision stays, because that changes the numbers.

    Raises:
        ValueError: naming the key that says something else than the checkpoint.
    """
    merged = deepcopy(made)
    merged["trainer"] = {**given["trainer"], "precision": made["trainer"]["precision"]}
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        free = is_harmless(key) or (key.startswith("trainer.") and key != "trainer.precision")
        ours, theirs = _look_up(given, key), _look_up(made, key)
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
    """Return a data set's settings with all that lay in one folder in another."""
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
