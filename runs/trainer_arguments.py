"""The Trainer's arguments: which ones a user may give, and with which values."""

from typing import Any

from datamodules.config_checks import check_bool, check_integer, check_one_of

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")

# Values of `devices` that mean all there are; `runs.devices` counts them.
ALL_DEVICES = (-1, "-1", "auto")

# Arguments that would conflict with the project's own settings, and what to use instead.
REPLACED_BY = {
    "max_steps": "max_steps",
    "min_steps": "max_steps",
    "max_epochs": "max_epochs",
    "min_epochs": "max_epochs",
    "max_time": "max_steps",
    "fast_dev_run": "max_steps",
    "limit_train_batches": "max_steps",
    "overfit_batches": "dataset.train_per_class",
    "limit_val_batches": "evaluate_every",
    "limit_test_batches": "evaluate_every",
    "val_check_interval": "evaluate_every",
    "check_val_every_n_epoch": "evaluate_every",
    "log_every_n_steps": "log_every",
    "logger": "logger",
    "default_root_dir": "run_dir",
    "gradient_clip_val": "method.grad_clip",
    "gradient_clip_algorithm": "method.grad_clip",
    "accumulate_grad_batches": "batch_size",
}

# The arguments of Lightning's that a user may give. The rest are set by the project (callbacks,
# plugins, samplers, progress bar), or are for a Trainer that ends epochs and predicts.
ALLOWED = (
    "accelerator", "devices", "num_nodes", "strategy", "precision", "deterministic", "benchmark",
    "inference_mode", "detect_anomaly", "profiler", "sync_batchnorm",
)  # fmt: skip
_LIGHTNING_TRAINER = "pytorch_lightning.Trainer"
_BOOLEANS = ("inference_mode", "detect_anomaly", "sync_batchnorm")


def check_trainer(trainer: dict[str, Any]) -> None:
    """Raise a `ValueError` if an argument is not for a user to give, or its value is impossible.

    What Lightning itself refuses with a clear message, before anything is opened, is left to it.
    """
    for key in trainer:
        if key in REPLACED_BY:
            raise ValueError(f"trainer.{key} is not used here: give {REPLACED_BY[key]} instead.")
        # a custom Trainer may have more
        if trainer.get("_target_") == _LIGHTNING_TRAINER and key not in ("_target_", *ALLOWED):
            raise ValueError(
                f"trainer.{key} is not used here: leave it out. There are "
                f"{', '.join(f'trainer.{name}' for name in ALLOWED)} (with + before it where the "
                "settings have none)."
            )
    check_one_of("trainer.precision", trainer.get("precision", "32-true"), PRECISIONS)
    check_integer("trainer.num_nodes", trainer.get("num_nodes", 1), 1)
    _check_devices(trainer.get("devices", 1))
    for key in _BOOLEANS:
        check_bool(f"trainer.{key}", trainer.get(key, False))
    for key, extra_value in (("deterministic", "warn"), ("benchmark", None)):
        value = trainer.get(key)
        if not (value is None or value == extra_value or isinstance(value, bool)):
            raise ValueError(
                f"trainer.{key}={value} is not known: give true, false or {extra_value or 'null'}."
            )


def _check_devices(devices: Any) -> None:
    if isinstance(devices, list):
        indices = {place for place in devices if isinstance(place, int) and place >= 0}
        possible = 0 < len(indices) == len(devices)
    elif isinstance(devices, bool):
        possible = False
    else:
        possible = devices in ALL_DEVICES or (isinstance(devices, int) and devices > 0)
    if not possible:
        raise ValueError(
            f"trainer.devices={devices!r} is not possible: give how many, -1 or auto for all there "
            "are, or a list of places such as [0,1]; a number and no text, so from the environment "
            "${oc.decode:${oc.env:NAME}}."
        )
