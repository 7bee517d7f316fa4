"""Refuses settings that cannot work, with a clear message, before anything is read or built.

Data sets, methods and schedules check their own settings in their constructors; here are those that
belong to none of them, or to several.
"""

from importlib.util import find_spec
from typing import Any

from hydra.utils import get_object

from datamodules.config_checks import (
    check_above,
    check_bool,
    check_integer,
    check_one_of,
    check_within,
)
from datamodules.noise import check_rate
from runs.compiler import missing_for_compiling
from runs.launcher import check_launched_processes, count_ranks, ranks_are_started
from runs.modes import MODES
from runs.settings import Settings
from runs.trainer_arguments import check_trainer

_MINIMA = {"batch_size": 1, "log_every": 1, "default_steps": 1, "seed": 0}
_MINIMA_OR_NULL = {"probe_per_class": 0, "max_steps": 1, "max_epochs": 1, "evaluate_every": 1}

# `uses_probe` of the project's methods, here because importing one takes seconds.
_USES_PROBE = {
    "lightning_modules.supervised.Supervised": False,
    "lightning_modules.l2r.L2R": True,
    "lightning_modules.ieg.IEG": True,
}

_CONFIG_GROUPS = ("dataset", "method", "model", "schedule", "trainer", "logger")
_LOGGERS = ("wandb", "tensorboard", "csv", "none")

# The keys that a model's file must have.
_MODEL_KEYS = ("name", "net", "weight_decay", "decayed")


def check_settings(settings: Settings, sweeping: bool = False) -> None:
    """Refuse settings that cannot work.

    Args:
        settings: of one job.
        sweeping: whether it is a job of a multirun.

    Raises:
        ValueError: naming the key, what was given, what is allowed and what to change.
    """
    check_one_of("mode", settings["mode"], list(MODES))
    if settings["mode"] == "compare":  # uses no other key
        _check_compare_mode(settings["run_dir"], sweeping)
        return
    for group in _CONFIG_GROUPS:
        if group not in settings["choices"]:  # of a list, only the last would be used
            raise ValueError(f"{group}= takes one choice, and no list of them: give one.")
    for key, minimum in _MINIMA.items():
        check_integer(key, settings[key], minimum)
    for key, minimum in _MINIMA_OR_NULL.items():
        check_integer(key, settings[key], minimum, or_null=True)
    if settings["seed"] >= 2**32:
        raise ValueError(f"seed={settings['seed']} is too large: give a number below 2^32.")
    check_bool("fresh", settings["fresh"])
    for key in ("learning_rate", "save_every_minutes"):
        check_above(key, settings[key], 0)
    if settings["noise"] is not None:
        check_rate(settings["noise"])
    for key in ("data_dir", *(["run_dir"] if settings["run_dir"] is not None else [])):
        if not isinstance(settings[key], str) or not settings[key]:
            raise ValueError(f"{key}={settings[key]} is not a folder: give its path.")
    if not isinstance(settings["labels"], str | None):
        raise ValueError(f"labels={settings['labels']} is not a file: give its path.")
    if not isinstance(settings["checkpoint"], str | None):
        raise ValueError(
            f"checkpoint={settings['checkpoint']} is not a file or a run folder: give the path of "
            "one; --multirun checkpoint=a,b takes several."
        )
    is_required, pictures = settings["mode"] == "predict", settings["pictures"]
    if not isinstance(pictures, str if is_required else str | None):
        raise ValueError(
            f"pictures={pictures} is not a folder of pictures, or a picture: give its path."
        )
    _check_model(settings)
    for group in ("dataset", "model"):
        name = settings[group].get("name")
        if not isinstance(name, str) or "/" in name or name in ("", ".", ".."):
            raise ValueError(
                f"{group}.name={name} is a part of the name of folders: give a word without /."
            )
    _check_logger(settings)
    check_trainer(settings["trainer"])
    _check_audit(settings["audit"])
    for key, value in settings["speed"].items():
        check_bool(f"speed.{key}", value)
    if settings["mode"] in ("train", "check"):
        _check_speed(settings["speed"], settings["trainer"])
    if settings["mode"] not in ("evaluate", "audit", "predict"):
        check_batch_size(settings["trainer"], settings["batch_size"])
    if settings["mode"] not in ("audit", "predict"):  # there one process does everything
        check_launched_processes(settings["trainer"])
    _check_meta(settings)
    if sweeping and settings["trainer"].get("devices", 1) != 1 and not ranks_are_started():
        # Lightning starts the other ranks by rerunning this command, which is the whole sweep
        raise ValueError(
            f"trainer.devices={settings['trainer']['devices']} in a multirun would start the whole "
            "sweep once more on every device: sweep jobs of one device, or launch each job by "
            "SLURM (hydra/launcher=submitit_slurm)."
        )


def _check_compare_mode(run_dir: Any, sweeping: bool) -> None:
    if sweeping:
        raise ValueError(
            "mode=compare is no job of a multirun: leave out --multirun, and give the folders as "
            "a list, run_dir=[a,b]."
        )
    places = run_dir if isinstance(run_dir, list) else [] if run_dir is None else [run_dir]
    if run_dir == [] or not all(isinstance(place, str) and place for place in places):
        raise ValueError(f"run_dir={run_dir} is not a folder, a pattern, or a list of these.")


def _check_model(settings: Settings) -> None:
    lacking = [key for key in _MODEL_KEYS if key not in settings["model"]]
    if lacking:
        raise ValueError(
            f"model={settings['choices'].get('model')} says no model.{', no model.'.join(lacking)}"
            ": write it into the model's file, as in conf/model/resnet11.yaml."
        )


def _check_logger(settings: Settings) -> None:
    logger = settings["logger"]
    check_one_of("logger.name", logger.get("name"), _LOGGERS)
    if logger["name"] == "tensorboard" and find_spec("tensorboard") is None:
        raise ValueError(
            "logger=tensorboard needs a package that is not installed: "
            "pip install -c constraints.txt -e '.[tensorboard]', or choose another logger."
        )
    if logger["name"] != "wandb":
        return
    for key in ("project", "entity", "group"):
        value, optional = logger.get(key), key != "project"
        if not (isinstance(value, str) or (optional and value is None)):
            raise ValueError(
                f"logger.{key}={value} is not a name: give one{' or null' * optional}, in quotes "
                f"where it is a number, such as logger.{key}=\"'5'\"."
            )
    tags = logger.get("tags")
    if not isinstance(tags, list) or any(isinstance(tag, dict | list | None) for tag in tags):
        raise ValueError(f"logger.tags={tags} is not a list of words: give [a,b], or [] for none.")


def _check_audit(audit: dict[str, Any]) -> None:
    check_within("audit.confidence", audit["confidence"], 0, 1)
    check_integer("audit.label_next", audit["label_next"], 0)
    check_bool("audit.parquet", audit["parquet"])
    if audit["parquet"] and find_spec("pyarrow") is None:
        raise ValueError(
            "audit.parquet=true needs a package that is not installed: "
            "pip install -c constraints.txt -e '.[parquet]', or leave it out."
        )


def _check_speed(speed: dict[str, Any], trainer: dict[str, Any]) -> None:
    if speed["compile"] and (lacking := missing_for_compiling()):
        raise ValueError(
            f"speed.compile=true needs {lacking}: install it, or leave speed.compile out."
        )
    if speed["cuda_graph"] and trainer.get("detect_anomaly"):
        raise ValueError(
            "trainer.detect_anomaly=true waits for every number, and speed.cuda_graph=true for "
            "none: leave one of them out."
        )


def check_batch_size(trainer: dict[str, Any], batch_size: int) -> None:
    """Raise a `ValueError` if the devices, where counted already, cannot share a batch evenly."""
    rank_count = count_ranks(trainer)
    if rank_count is not None and batch_size % rank_count:
        raise ValueError(
            f"batch_size={batch_size} is over all devices and cannot be shared by "
            f"trainer.devices={trainer.get('devices', 1)} on trainer.num_nodes="
            f"{trainer.get('num_nodes', 1)}: give a multiple of {rank_count}."
        )


def _uses_probe(method: dict[str, Any], method_name: str | None) -> bool:
    """Return whether a method needs trusted examples, without importing the project's own."""
    target = method.get("_target_")
    if target in _USES_PROBE:
        return _USES_PROBE[target]
    try:
        method_class = get_object(str(target))
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"method._target_={target}, of method={method_name}, cannot be imported ({reason}): "
            "give the class by its module, such as my_methods.MyMethod, where Python finds it."
        ) from error
    return bool(getattr(method_class, "uses_probe", True))


def _check_meta(settings: Settings) -> None:
    check_bool("meta.float32", settings["meta"]["float32"])
    method, clips = settings["choices"].get("method"), settings["method"].get("grad_clip")
    if settings["trainer"].get("precision") == "16-mixed" and clips is not None:
        raise ValueError(
            f"trainer.precision=16-mixed scales gradients, and method.grad_clip={clips} would clip "
            "them scaled: give 32-true or bf16-mixed, or leave out method.grad_clip."
        )
    if not _uses_probe(settings["method"], method):
        return
    if settings["probe_per_class"] == 0:
        raise ValueError(
            f"probe_per_class=0 leaves method={method} without trusted labels: give 1 or more, or "
            "method=supervised."
        )
    if settings["trainer"].get("precision") == "16-mixed":
        raise ValueError(
            "trainer.precision=16-mixed scales the loss but not the meta-step's gradients: with "
            f"method={method} give 32-true or bf16-mixed."
        )
    if settings["trainer"].get("sync_batchnorm"):
        raise ValueError(
            f"trainer.sync_batchnorm=true has no derivative of the kind method={method} needs: "
            "leave it out; batch statistics stay with their device."
        )
