"""Run folders as runs leave them, without running any."""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests import compose

composed = cache(compose.settings)


def run_folder(path: Path, *overrides: str, acc: float = 0.9, **more: Any) -> Path:
    """Make the folder of a finished run."""
    made = settings(*overrides)
    (path / "checkpoints").mkdir(parents=True)
    (path / "config.yaml").write_text(yaml.safe_dump(made))
    (path / "results.json").write_text(json.dumps(results(made, acc=acc, **more)))
    return path


def row(*overrides: str, acc: float = 0.9, **more: Any) -> dict[str, Any]:
    """Return what such a folder is read as."""
    made = settings(*overrides)
    return {**results(made, acc=acc, **more), "settings": made}


def settings(*overrides: str) -> dict[str, Any]:
    """Return settings as a run has them; what was composed once is not composed again."""
    return deepcopy(composed(*overrides))


def results(made: dict[str, Any], acc: float = 0.9, **more: Any) -> dict[str, Any]:
    """Return flat results of a run with these settings."""
    return {
        **{name: made["choices"][name] for name in ("dataset", "method", "model")},
        "noise": made["noise"],
        "seed": made["seed"],
        "test/acc_last": acc,
        "test/acc_best_oracle": acc + 0.01,
        "steps": made["max_steps"] or made["default_steps"],
        "seconds": 10.0,
        "finished": True,
        **more,
    }
