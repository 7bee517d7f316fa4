"""The settings of a run: as plain types, compared with others', and hashed into a name.

Two runs are the same experiment if they agree in everything that can change a number. What cannot
(where the data are, the logger, the kind of device) is not part of a run's identity.
"""

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Collection, Mapping
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

Settings = dict[str, Any]

# Keys that change where and how a run is computed, but no number. Exceptions:
# IDENTITY_TRAINER_KEYS.
NOT_IDENTITY_KEYS = (
    "mode", "checkpoint", "pictures", "fresh", "run_dir", "data_dir", "trainer", "logger",
    "save_every_minutes", "audit",
    "dataset.num_workers", "dataset.eval_batch_size",
)  # fmt: skip
# Also the folder of a data set or a part of it. (Not `dataset.folder`: it says which pictures.)
_FOLDER_KEY = re.compile(r"dataset\.\w+_dir")
IDENTITY_TRAINER_KEYS = (
    "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.sync_batchnorm"
)  # fmt: skip
# Keys added later, with the value that does what was done before. With this value they are not
# part of a run's identity, so that earlier runs keep their names, can be resumed, and are compared
# with later ones. (Two exceptions: on a GPU, earlier versions used TF32 for convolutions, and
# trainer.sync_batchnorm=true was not part of a run's identity.)
LATER_ADDED_KEYS = {
    "speed.compile": False, "speed.channels_last": False, "speed.tf32": False,
    "speed.cuda_graph": False,
    "meta.float32": True, "method.meta_float32": True, "method.guess_trust": 0.0,
    "trainer.sync_batchnorm": False,
}  # fmt: skip
# Keys that set the length of a run; `runs.resume` decides when it may change after the start.
LENGTH_KEYS = ("max_steps", "max_epochs", "default_steps")


def plain_settings(cfg: DictConfig) -> Settings:
    """Return the settings as plain types, resolved, with the groups' choices under `choices`."""
    settings: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if HydraConfig.initialized():
        chosen = HydraConfig.get().runtime.choices
        settings["choices"] = {
            group: choice for group, choice in chosen.items() if "hydra" not in group and choice
        }
    settings.setdefault("choices", {})
    return settings


def command() -> str:
    """Return the command that does this run alone, also if it is a job of a multirun."""
    return shlex.join(["python", "train.py", *overrides()])


def key_of(override: str) -> str:
    """Return the key that an override sets: `noise` of `+noise=0.2`."""
    return override.lstrip("+~").partition("=")[0]


def keys_given(command: Any) -> set[str]:
    """Return the keys that a run's `command` gives; none if it cannot be read.

    Args:
        command: the words after `python train.py` are overrides.
    """
    try:
        words = shlex.split(command)[2:] if isinstance(command, str) else []
    except ValueError:  # a quote without its other half
        words = []
    return {key_of(word) for word in words}


def overrides() -> list[str]:
    """Return the overrides of this run or multirun job, such as `["noise=0.2"]`."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else sys.argv[1:]


def identity(settings: Settings) -> dict[str, Any]:
    """Return the settings that define the experiment, by flat keys.

    Left out are keys that change no number, and those added later whose value changes nothing
    (`LATER_ADDED_KEYS`).
    """
    return {
        key: os.path.normpath(value) if key == "dataset.folder" else value
        for key, value in _flatten(settings).items()
        if not key.startswith("choices.")
        and not is_outside_identity(key)
        and value != value_before_added(key, settings)
    }


def value_before_added(key: str, settings: Settings) -> Any:
    """Return the value that a key stood for before it was added.

    `(absent)` means that it is not in `LATER_ADDED_KEYS`. For `meta.float32` this is false under
    mixed precision, which then included the meta-step.
    """
    if key in LATER_ADDED_KEYS and key.endswith("float32"):
        return bool(settings["trainer"]["precision"] == "32-true")
    return LATER_ADDED_KEYS.get(key, "(absent)")


def is_outside_identity(key: str) -> bool:
    """Return whether a key, such as `trainer.accelerator`, cannot change a number."""
    listed = any(key == name or key.startswith(name + ".") for name in NOT_IDENTITY_KEYS)
    return (listed and key not in IDENTITY_TRAINER_KEYS) or _FOLDER_KEY.fullmatch(key) is not None


def differences(saved: Settings, given: Settings, except_keys: Collection[str] = ()) -> list[str]:
    """Return a line such as `noise: 0.4 → 0.2` for each key, except `except_keys`, that differs."""
    old, new = identity(saved), identity(given)
    return [
        f"{key}: {old.get(key, value_before_added(key, saved))} → "
        f"{new.get(key, value_before_added(key, given))}"
        for key in sorted((old.keys() | new.keys()) - set(except_keys))
        if old.get(key, ...) != new.get(key, ...)
    ]


def default_run_dir(settings: Settings) -> str:
    """Return `outputs/<data set>-<noise>-<method>-<model>-s<seed>-<hash of the identity>`.

    Where noise is not drawn, it is left out.
    """
    name = settings["dataset"]["name"]
    method, model = settings["choices"].get("method", "method"), settings["model"]["name"]
    noise = "" if settings["noise"] is None else f"-{settings['noise']}"
    return (
        f"outputs/{name}{noise}-{method}-{model}-s{settings['seed']}-"
        f"{settings_hash(identity(settings))}"
    )


def settings_hash(values: Mapping[str, Any]) -> str:
    """Return a hash of settings, eight hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
