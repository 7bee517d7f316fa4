"""The settings of a run: checked before any data are read, compared, and given a name.

Two runs are the same experiment if they agree in everything that can change a number. What cannot
(where data lie, who logs, which device) is left out of a run's identity.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

Settings = dict[str, Any]

MODES = ("train", "evaluate", "check")

# Keys that change where and how a run is computed, but not what.
HARMLESS = (
    "mode", "checkpoint", "fresh", "run_dir", "data_dir", "trainer", "logger", "save_every_minutes",
    "dataset.data_dir", "dataset.num_workers", "dataset.eval_batch_size",
)  # fmt: skip


def plain(cfg: DictConfig) -> Settings:
    """Return the settings as plain types, resolved, with the groups' choices under `choices`."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if HydraConfig.initialized():
        chosen = HydraConfig.get().runtime.choices
        settings["choices"] = {
            group: choice for group, choice in chosen.items() if "hydra" not in group and choice
        }
    settings.setdefault("choices", {})
    return settings


def check(settings: Settings) -> None:
    """Raise a `ValueError` for values that cannot work; data sets and methods check their own.

    Raises:
        ValueError: naming the key, what was given and what is allowed.
    """
    mode, method = settings["mode"], settings["choices"].get("method", "this method")
    if mode not in MODES:
        raise ValueError(f"mode={mode} is not known: choose one of {', '.join(MODES)}.")
    for key in ("batch_size", "log_every"):
        if not _whole(settings[key], 1):
            raise ValueError(f"{key}={settings[key]} must be a whole number, 1 or more.")
    for key in ("max_steps", "max_epochs", "evaluate_every"):
        if settings[key] is not None and not _whole(settings[key], 1):
            raise ValueError(f"{key}={settings[key]} must be a whole number, 1 or more, or null.")
    if not _whole(settings["seed"], 0):
        raise ValueError(f"seed={settings['seed']} must be a whole number, 0 or more.")
    if not _whole(settings["probe_per_class"], 0):
        raise ValueError(
            f"probe_per_class={settings['probe_per_class']} must be a whole number, 0 or more."
        )
    noise = settings["noise"]
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < 1:
        raise ValueError(
            f"noise={noise} is not a rate: give a number from 0 up to, but not including, 1."
        )
    if settings["probe_per_class"] == 0 and method in ("l2r", "ieg"):
        raise ValueError(
            f"probe_per_class=0 leaves method={method} without trusted labels: give 1 or more, or "
            "method=supervised."
        )
    devices = settings["trainer"].get("devices", 1)
    count = len(devices) if isinstance(devices, list) else devices
    nodes = settings["trainer"].get("num_nodes", 1)
    if isinstance(count, int) and count > 0 and settings["batch_size"] % (count * nodes):
        raise ValueError(
            f"batch_size={settings['batch_size']} is over all devices and cannot be shared by "
            f"trainer.devices={devices} on trainer.num_nodes={nodes}: give a multiple of "
            f"{count * nodes}."
        )
    precision = str(settings["trainer"].get("precision", "32-true"))
    if precision.startswith("16") and method in ("l2r", "ieg"):
        raise ValueError(
            f"trainer.precision={precision} scales the loss but not the meta-step's gradients: "
            f"with method={method} give 32-true or bf16-mixed."
        )
    if settings["trainer"].get("sync_batchnorm") and method in ("l2r", "ieg"):
        raise ValueError(
            f"trainer.sync_batchnorm=true has no derivative of the kind method={method} needs: "
            "leave it out; batch statistics stay with their device."
        )


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def identity(settings: Settings) -> dict[str, Any]:
    """Return what makes the experiment what it is: flat keys, without the harmless ones."""
    flat = _flatten(settings)
    hidden = (*HARMLESS, "choices", "experiment")
    return {
        key: value
        for key, value in flat.items()
        if not any(key == name or key.startswith(name + ".") for name in hidden)
    }


def differences(saved: Settings, given: Settings) -> list[str]:
    """Return a line for each key by which two experiments differ: `noise: 0.4 → 0.2`."""
    old, new = identity(saved), identity(given)
    return [
        f"{key}: {old.get(key, '(absent)')} → {new.get(key, '(absent)')}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key, ...) != new.get(key, ...)
    ]


def default_run_dir(settings: Settings) -> str:
    """Return `outputs/<data set>-<noise>-<method>-<model>-s<seed>-<hash of the identity>`."""
    text = json.dumps(identity(settings), sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    name = settings["dataset"]["name"]
    method, model = settings["choices"].get("method", "method"), settings["model"]["name"]
    return f"outputs/{name}-{settings['noise']}-{method}-{model}-s{settings['seed']}-{digest}"


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
