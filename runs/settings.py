"""The settings of a run: plain, compared, and given a name.

Two runs are the same experiment if they agree in everything that can change a number. What cannot
(where data lie, who logs, which device) is left out of a run's identity.
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

# Keys that change where and how a run is computed, but not what; and those below them that do.
HARMLESS = (
    "mode", "checkpoint", "pictures", "fresh", "run_dir", "data_dir", "trainer", "logger",
    "save_every_minutes", "audit",
    "dataset.num_workers", "dataset.eval_batch_size",
)  # fmt: skip
# And where a data set lies, or a part of it. (Of one's own pictures, `dataset.folder` says which.)
_PLACE = re.compile(r"dataset\.\w+_dir")
DECISIVE = (
    "trainer.precision", "trainer.devices", "trainer.num_nodes", "trainer.sync_batchnorm"
)  # fmt: skip
# Keys that came later, at the value that does what was done before: there they are no part of a
# run's identity, so that earlier runs keep their names, go on, and are compared with later ones.
# (Two cannot be undone: on a GPU, earlier versions took TF32 for convolutions; and
# trainer.sync_batchnorm=true was no part of a run's identity.)
ADDED = {
    "speed.compile": False, "speed.channels_last": False, "speed.tf32": False,
    "speed.cuda_graph": False,
    "meta.float32": True, "method.meta_float32": True, "method.guess_trust": 0.0,
    "trainer.sync_batchnorm": False,
}  # fmt: skip
# Keys that say how long a run is; `runs.resume` knows when one that began may be longer.
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
    """Return what would do this run alone, also when it is a job of a multirun."""
    return shlex.join(["python", "train.py", *overrides()])


def key_of(word: str) -> str:
    """Return the key that a word of the command line sets: `noise` of `+noise=0.2`."""
    return word.lstrip("+~").partition("=")[0]


def overrides() -> list[str]:
    """Return the words of the command line, or of this job of a multirun: `["noise=0.2"]`."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else sys.argv[1:]


def identity(settings: Settings) -> dict[str, Any]:
    """Return what makes the experiment what it is: flat keys, without the harmless ones.

    Nor those that an earlier version did without, where they change nothing (`ADDED`).
    """
    return {
        key: os.path.normpath(value) if key == "dataset.folder" else value
        for key, value in _flatten(settings).items()
        if not key.startswith("choices.")
        and not is_harmless(key)
        and value != before(key, settings)
    }


def before(key: str, settings: Settings) -> Any:
    """Return what a run with such settings did before a key came; `(absent)`: it is none of these.

    Under mixed precision, the meta-step was in bfloat16 like the rest.
    """
    if key in ADDED and key.endswith("float32"):
        return bool(settings["trainer"]["precision"] == "32-true")
    return ADDED.get(key, "(absent)")


def is_harmless(key: str) -> bool:
    """Return whether a key, such as `trainer.accelerator`, cannot change a number."""
    below = any(key == name or key.startswith(name + ".") for name in HARMLESS)
    return (below and key not in DECISIVE) or _PLACE.fullmatch(key) is not None


def differences(saved: Settings, given: Settings, but: Collection[str] = ()) -> list[str]:
    """Return a line for each key, but some, by which two experiments differ: `noise: 0.4 → 0.2`."""
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
    """Return eight hexadecimal figures that tell settings apart."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
