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

# Keys that change where and how a run is computed, but no number. DECISIVE are the exceptions.
HARMLESS = (
    "mode", "checkpoint", "pictures", "fresh", "run_dir", "data_dir", "trainer", "logger",
    "save_every_minutes", "audit",
    "dataset.num_workers", "dataset.eval_batch_size",
)  # fmt: skip
# Also the folder of a data set or a part of it. (Not `dataset.folder`: it says which pictures.)
_PLACE = re.compile(r"dataset\.\w+_dir")
DECISIVE = (
    "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.sync_batchnorm"
)  # fmt: skip
# Keys added later, with the value that does what was done before. With this value they are not
# part of a run's identity, so that earlier runs keep their names, can be resumed, and are compared
# with later ones. (Two exceptions: on a GPU, earlier versions used TF32 for convolutions, and
# trainer.sync_batchnorm=true was not part of a run's identity.)
ADDED = {
    "speed.compile": False, "speed.channels_last": False, "speed.tf32": False,
    "speed.cuda_graph": False,
    "meta.float32": True, "method.meta_float32": True, "method.guess_trust": 0.0,
    "trainer.sync_batchnorm": False,
}  # fmt: skip
# Keys that set the length of a run; `runs.resume` decides when it may change after the start.
LENGTH = ("max_steps", "max_epochs", "default_steps")


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


def command() -> str:
    """Return the command that does this run alone, also if it is a job of a multirun."""
    return shlex.join(["python", "train.py", *overrides()])


def key_of(word: str) -> str:
    """Return the key that an override sets: `noise` of `+noise=0.2`."""
    return word.lstrip("+~").partition("=")[0]


def overrides() -> list[str]:
    """Return the overrides of this run or multirun job, such as `["noise=0.2"]`."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else sys.argv[1:]


def identity(settings: Settings) -> dict[str, Any]:
    """Return the settings that define the experiment, by flat keys.

    Left out are harmless keys, and those added later whose value changes nothing (`ADDED`).
    """
    return {
        key: os.path.normpath(value) if key == "dataset.folder" else value
        for key, value in _flatten(settings).items()
        if not key.startswith("choices.")
        and not is_harmless(key)
        and value != before(key, settings)
    }


def before(key: str, settings: Settings) -> Any:
    """Return the value that a key stood for before it was added; `(absent)`: it is not in `ADDED`.

    For `meta.float32` this is false under mixed precision, which then included the meta-step.
    """
    if key in ADDED and key.endswith("float32"):
        return bool(settings["trainer"]["precision"] == "32-true")
    return ADDED.get(key, "(absent)")


def is_harmless(key: str) -> bool:
    """Return whether a key, such as `trainer.accelerator`, cannot change a number."""
    below = any(key == name or key.startswith(name + ".") for name in HARMLESS)
    return (below and key not in DECISIVE) or _PLACE.fullmatch(key) is not None


def differences(saved: Settings, given: Settings, but: Collection[str] = ()) -> list[str]:
    """Return a line such as `noise: 0.4 → 0.2` for each key, except `but`, that differs."""
    old, new = identity(saved), identity(given)
    return [
        f"{key}: {old.get(key, before(key, saved))} → {new.get(key, before(key, given))}"
        for key in sorted((old.keys() | new.keys()) - set(but))
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
        f"outputs/{name}{noise}-{method}-{model}-s{settings['seed']}-{digest(identity(settings))}"
    )


def digest(values: Mapping[str, Any]) -> str:
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
