"""The door: compose → check → build → fit or evaluate → results.

python train.py dataset=cifar10_asym noise=0.4 method=ieg
"""

import os
import sys
import time
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from runs.settings import check, plain

Results = dict[str, Any]


def run(cfg: DictConfig) -> Results:
    """Do what the settings say; return flat results.

    Raises:
        ValueError: if the settings or the data cannot work, in a sentence for the user.
    """
    settings = plain(cfg)
    check(settings)
    # The libraries take seconds to import: a mistyped value is told before.
    from runs import modes

    if settings["mode"] == "evaluate":
        return modes.evaluate(settings, list(HydraConfig.get().overrides.task))
    if settings["mode"] == "check":
        return modes.check(settings)
    return modes.train(settings)


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> Results:
    """Run one job; in a multirun, a job that fails does not stop the others."""
    began = time.perf_counter()
    try:
        return run(cfg)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
        if not isinstance(error, ValueError) and not sweeping:
            raise
        message = (
            str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        )
        print(f"error: {message}", file=sys.stderr)
        if not sweeping:
            sys.exit(2)
        return {"error": message, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
