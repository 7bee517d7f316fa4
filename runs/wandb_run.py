"""What W&B is told about a run before it begins: its config, group, tags and id."""

import os
import uuid
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from runs.settings import Settings, identity, settings_hash

_LONGEST_TAG = 64  # W&B refuses longer ones

# The noise models that the ends of data sets' names stand for.
_IMPLIED = {"uniform": "uniform", "asym": "asymmetric"}


def config(settings: Settings, facts: dict[str, Any]) -> dict[str, Any]:
    """Return W&B's config, by which runs are filtered and grouped.

    The choice of each group (`dataset`, `method`) and all single values (`noise`, `seed`) are at
    the top level, under the names that a sweep's agent also uses. The contents of the groups are
    below `settings`.

    Args:
        settings: the run's settings.
        facts: what was measured, such as the effective noise rate.
    """
    single = {key: value for key, value in settings.items() if not isinstance(value, dict)}
    nested = {key: value for key, value in settings.items() if isinstance(value, dict)}
    return {**single, **nested.pop("choices"), **facts, "settings": nested}


def group(settings: Settings) -> str:
    """Return `<data set>-<noise>-<method>-<model>-<hash>`, the same for runs of all seeds.

    The hash is over all settings that can change a number, except the seed.
    """
    identity_settings = {
        key: value for key, value in identity(settings).items() if key.rpartition(".")[2] != "seed"
    }
    parts = [str(word) for word in _chosen(settings).values()]
    return "-".join([*parts, settings_hash(identity_settings)])


def tags(settings: Settings) -> list[str]:
    """Return tags to find runs by: those of `logger.tags`, and what the run is named by."""
    chosen = _chosen(settings)
    words = [
        f"{key}={chosen[key]}" if key in ("noise", "imbalance") else chosen[key] for key in chosen
    ]
    return [
        str(word)[:_LONGEST_TAG] for word in dict.fromkeys([*settings["logger"]["tags"], *words])
    ]


def _chosen(settings: Settings) -> dict[str, Any]:
    """Return what a run is named by; the noise model only if the data set's name leaves it open."""
    name, noise_model = settings["dataset"]["name"], settings["noise_model"]
    chosen = {"dataset": name}
    if noise_model not in (None, "given", _IMPLIED.get(name.rpartition("_")[2])):
        chosen["noise_model"] = noise_model
    if settings["noise"] is not None:
        chosen["noise"] = settings["noise"]
    if settings["imbalance"] != 1:
        chosen["imbalance"] = settings["imbalance"]
    return {**chosen, "method": settings["choices"]["method"], "model": settings["model"]["name"]}


def is_sweep_run() -> bool:
    """Return whether a W&B agent started this process, as one run of a sweep."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


@rank_zero_only
def run_id(folder: Path) -> str:
    """Return the run's id, kept in its folder so that a resumed run is the same run for W&B.

    It is drawn at random or given by a sweep's agent, which waits for a run with that id.
    """
    path = folder / "wandb_id"
    if is_sweep_run():
        path.write_text(os.environ["WANDB_RUN_ID"])
    elif not path.exists():
        path.write_text(uuid.uuid4().hex[:12])
    return path.read_text()
