"""How many devices a run has, where the settings say: all there are."""

import torch

from runs.check import check_batch
from runs.launched import check_processes
from runs.settings import Settings
from runs.trainer_arguments import ALL

_COUNTED = ("auto", "gpu", "cuda")


def counted(settings: Settings) -> Settings:
    """Return the settings with the number of devices in place of all.

    A run on eight devices is another experiment than one on four, and is not to go on from it: each
    has batch statistics of its own.

    Raises:
        ValueError: if the batch cannot be shared by so many, or others were started.
    """
    trainer = settings["trainer"]
    if trainer.get("devices") not in ALL or trainer.get("accelerator") not in _COUNTED:
        return settings
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
    elif trainer["accelerator"] == "auto" and trainer["devices"] == "auto":
        count = 1
    else:
        return settings  # Lightning says what is missing
    trainer = {**trainer, "devices": count}
    check_batch(trainer, settings["batch_size"])
    if settings["mode"] != "audit":
        check_processes(trainer)
    return {**settings, "trainer": trainer}
