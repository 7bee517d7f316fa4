"""Counts the devices of a run where the settings ask for all there are."""

import torch

from runs.check import check_batch_size
from runs.launcher import check_launched_processes
from runs.settings import Settings
from runs.trainer_arguments import ALL_DEVICES

_ACCELERATORS_COUNTED = ("auto", "gpu", "cuda")


def with_device_count(settings: Settings) -> Settings:
    """Return the settings with "all devices" replaced by their number.

    Each device has its own batch statistics, so a run on eight devices is a different experiment
    from one on four, and must not resume it.

    Raises:
        ValueError: if so many cannot share a batch evenly, or a launcher started another number of
            processes.
    """
    trainer = settings["trainer"]
    if (
        trainer.get("devices") not in ALL_DEVICES
        or trainer.get("accelerator") not in _ACCELERATORS_COUNTED
    ):
        return settings
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
    elif trainer["accelerator"] == "auto" and trainer["devices"] == "auto":
        count = 1
    else:
        return settings  # Lightning reports what is missing
    trainer = {**trainer, "devices": count}
    check_batch_size(trainer, settings["batch_size"])
    if settings["mode"] != "audit":
        check_launched_processes(trainer)
    return {**settings, "trainer": trainer}
