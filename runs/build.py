"""Builds the parts of a run from its settings: data, module, callbacks, trainer."""

import logging
import math
import re
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import Callback
from torch import nn

from callbacks.beliefs_over_time import BeliefsOverTime
from callbacks.checkpoint_file import CheckpointFile
from callbacks.collapse_warning import CollapseWarning
from callbacks.evaluations import Evaluations
from callbacks.finite_loss import FiniteLoss
from callbacks.label_audit import LabelAudit
from callbacks.progress import RunProgress
from callbacks.stop_signals import StopSignals
from callbacks.training_log import TrainingLog
from callbacks.unreadable_warning import UnreadableWarning
from datamodules.base import NoisyLabelDataModule
from lightning_modules.base import NoisyLabelModule
from lightning_modules.schedules import Schedule
from runs.folder import RunFolder
from runs.resume_message import ResumeMessage
from runs.settings import Settings, command

# Most evaluations by default, beside those at cycle ends: epochs of small data sets are short.
MOST_EVALUATIONS = 400

# Most steps taken before a loss that is not finite is noticed.
MOST_STEPS_UNSEEN = 100

# Python's message about an argument that a function does not have.
_UNKNOWN_ARGUMENT = re.compile(r"unexpected keyword argument '(\w+)'")


class Plan(NamedTuple):
    """The length of a run, and the steps after which it is evaluated."""

    max_steps: int
    evaluate_at: frozenset[int]
    cycle_ends: frozenset[int]


def build_data(settings: Settings) -> NoisyLabelDataModule:
    """Return the data module; its images are yet to be read."""
    return _call_target("dataset", settings["dataset"])


def build_schedule(settings: Settings, data: NoisyLabelDataModule) -> tuple[Schedule, Plan]:
    """Return the learning-rate schedule, and the plan that follows from it."""
    steps_per_epoch = data.steps_per_epoch
    steps, epochs = settings["max_steps"], settings["max_epochs"]
    if steps is not None and epochs is not None:
        raise ValueError(
            f"max_steps={steps} and max_epochs={epochs} are both given: give one, the other "
            "follows."
        )
    length = steps or (epochs and epochs * steps_per_epoch) or settings["default_steps"]
    schedule = _build_schedule(settings, steps_per_epoch, length)
    cycle_ends = schedule.cycle_ends()
    if steps is None and epochs is None and cycle_ends and cycle_ends[-1] < length:
        # A default length, so stop where the schedule ends a cycle, not near its next peak.
        length = cycle_ends[-1]
        schedule = _build_schedule(settings, steps_per_epoch, length)
        cycle_ends = schedule.cycle_ends()
    every = settings["evaluate_every"] or max(steps_per_epoch, math.ceil(length / MOST_EVALUATIONS))
    evaluate_at = {*range(every, length + 1, every), *cycle_ends, length}
    return schedule, Plan(length, frozenset(evaluate_at), frozenset(cycle_ends))


def _build_schedule(settings: Settings, steps_per_epoch: int, max_steps: int) -> Schedule:
    return _call_target(
        "schedule", settings["schedule"], steps_per_epoch=steps_per_epoch, max_steps=max_steps
    )


def build_module(
    settings: Settings, data: NoisyLabelDataModule, schedule: Schedule
) -> NoisyLabelModule:
    """Return the method with a newly initialised network, which is a function of the seed."""
    pl.seed_everything(settings["seed"], verbose=False)
    model, speed = settings["model"], _speed_settings(settings)
    return _call_target(
        "method",
        settings["method"],
        build_net(settings, data.num_classes),
        num_classes=data.num_classes,
        schedule=schedule,
        seed=settings["seed"],
        weight_decay=model["weight_decay"],
        decayed=model["decayed"],
        test_names=data.test_names,
        compile=speed.get("compile", False),
        cuda_graph=speed.get("cuda_graph", False),
    )


def build_net(settings: Settings, num_classes: int) -> nn.Module:
    """Return the network of `model`, newly initialised."""
    speed = _speed_settings(settings)
    multiply_float32(tf32=speed.get("tf32", False))
    net: nn.Module = _call_target("model.net", settings["model"]["net"], num_classes=num_classes)
    if speed.get("channels_last", False):
        net = net.to(memory_format=torch.channels_last)  # the first convolution converts the images
    return net


def _speed_settings(settings: Settings) -> Settings:
    speed: Settings = settings.get("speed", {})  # earlier checkpoints have none
    return speed


def multiply_float32(*, tf32: bool) -> None:
    """Set whether a GPU multiplies float32 as TF32; torch's default: in convolutions only."""
    torch.backends.cudnn.allow_tf32 = tf32
    torch.set_float32_matmul_precision("high" if tf32 else "highest")


class Identity(Callback):
    """Writes into each checkpoint which experiment it belongs to, so that no other resumes it.

    Args:
        settings: the run's settings, plain types.
        data: what the run is trained on; its draws are known once it is read.
    """

    def __init__(self, settings: Settings, data: NoisyLabelDataModule) -> None:
        self.settings = settings
        self.data = data

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add `experiment`."""
        checkpoint["experiment"] = {
            "settings": self.settings,
            "command": command(),
            "manifest": self.data.manifest.hash,
            "class_names": list(self.data.manifest.class_names),
            "image_size": self._image_size,
        }

    @cached_property
    def _image_size(self) -> list[int]:
        seen = self.data.train_set
        return list(seen.images.for_evaluation(seen.index[:1]).shape[-2:])


def build_callbacks(
    settings: Settings,
    data: NoisyLabelDataModule,
    plan: Plan,
    folder: RunFolder,
    signals: StopSignals,
) -> list[Callback]:
    """Return the callbacks of a run, in order."""
    log = TrainingLog(settings["log_every"])
    return [
        signals,
        ResumeMessage(folder),  # before LabelAudit, whose `on_fit_end` takes long
        Identity(settings, data),
        FiniteLoss(min(settings["log_every"], MOST_STEPS_UNSEEN)),
        log,
        LabelAudit(data.train_size, data.num_classes),
        BeliefsOverTime(data.num_classes),
        RunProgress(),
        UnreadableWarning(folder.path),
        CollapseWarning(log, data.num_classes),
        Evaluations(
            plan.evaluate_at,
            folder.checkpoints,
            plan.cycle_ends,
            save_seconds=60.0 * settings["save_every_minutes"],
            signals=signals,
        ),
    ]


def build_trainer(
    settings: Settings, max_steps: int, callbacks: list[Callback], plugins: Sequence[Any] = ()
) -> pl.Trainer:
    """Return a Trainer with everything switched off that this project does itself.

    Training is one endless epoch of `max_steps` steps. Samplers, checkpoints, evaluation times and
    the progress bar are ours (see `datamodules.samplers` and `callbacks`).
    """
    _silence_warnings()
    trainer: pl.Trainer = _call_target(
        "trainer",
        settings["trainer"],
        max_steps=max_steps,
        callbacks=callbacks,
        logger=False,  # set later, when the run's folder is open
        log_every_n_steps=1,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(callback, Evaluations) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[CheckpointFile(), *plugins],
    )
    # Lightning's handler of SIGTERM sends a message to the other ranks in the middle of a step,
    # which may hang, and exits with code 0; its handler for SLURM saves a checkpoint of its own.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def _silence_warnings() -> None:
    """Silence Lightning's warnings about deliberate choices, and its adverts."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*`torch.jit.script` is deprecated.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*resuming from a checkpoint that ended before.*",
        ".*It is recommended to use `self.log.*sync_dist=True.*",
        ".*all_gather is deprecated.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def _call_target(key: str, settings: Settings, *args: Any, **extra: Any) -> Any:
    """Call a `_target_` with its settings, and with objects that Hydra does not know.

    Raises:
        ValueError: if the target does not know one of the settings, which are below `key`.
    """
    target = instantiate(OmegaConf.create(settings), _partial_=True, _convert_="all")
    try:
        return target(*args, **extra)
    except TypeError as error:
        match = _UNKNOWN_ARGUMENT.search(str(error))
        if match and match[1] in settings:
            raise ValueError(
                f"{key}.{match[1]} is no setting of {settings['_target_']}: leave it out, or see "
                "how it is spelled there."
            ) from error
        raise
