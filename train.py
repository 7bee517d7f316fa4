"""The entry point: compose → check → build → fit or evaluate → results.

python train.py dataset=cifar10_asym noise=0.4 method=ieg
"""

import gc
import os
import signal
import sys
import time
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_method
from omegaconf import DictConfig

from runs.check import check_settings
from runs.freed_memory import keep_freed_memory
from runs.modes import MODES
from runs.ranks import end_with_first_rank
from runs.settings import plain_settings

Results = dict[str, Any]

_IN_A_SENTENCE = ("MisconfigurationException",)


def run(cfg: DictConfig) -> Results:
    """Run the mode that the settings choose; return its results as a flat dict.

    Raises:
        ValueError: if the settings or the data cannot work; the message is for the user.
    """
    end_with_first_rank()
    keep_freed_memory()
    gc.collect()  # a job before, whose Trainer, network and data refer to one another
    settings = plain_settings(cfg)
    check_settings(settings, sweeping=HydraConfig.get().mode == RunMode.MULTIRUN)
    if settings["mode"] != "compare":
        # Importing torch and Lightning takes seconds: mistyped values are reported before that.
        from runs.devices import with_device_count

        settings = with_device_count(settings)
    results: Results = get_method(MODES[settings["mode"]])(settings)
    return results


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> Results:
    """Run one job; in a multirun, a job that fails does not stop the others."""
    began = time.perf_counter()
    try:
        return run(cfg)
    except SystemExit as ended:  # Lightning's answer to Ctrl-C, where training does not answer
        if isinstance(ended.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except Exception as error:
        if getattr(error, "reported_by_another_rank", False):  # rank 0 reports the same error
            sys.exit(0)
        # Lightning's own message about arguments that cannot work is fit for the user too
        for_user = isinstance(error, ValueError) or type(error).__name__ in _IN_A_SENTENCE
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
        if not for_user and not sweeping:
            raise
        message = str(error) if for_user else f"{type(error).__name__}: {error}"
        print(f"error: {message}", file=sys.stderr)
        if not sweeping:
            sys.exit(2)
        return {"error": message, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # during training, the run itself handles Ctrl-C
        print("\nstopped by Ctrl-C", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
