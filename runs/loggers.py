"""The loggers of a run: `metrics.csv` always, and the one that `logger=` adds."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

from pytorch_lightning.loggers import Logger, TensorBoardLogger

from callbacks.csv_log import CSVLog
from callbacks.wandb_log import WandbLog
from runs import wandb_run
from runs.settings import Settings

Facts = dict[str, float | None]


def build_loggers(settings: Settings, folder: Path, facts: Facts) -> list[Logger]:
    """Return the loggers of a run.

    Args:
        settings: the run's settings, which become W&B's config.
        folder: the run's folder.
        facts: what is measured before training, such as the effective noise rate.
    """
    loggers: list[Logger] = [CSVLog(folder / "metrics.csv")]
    kind = settings["logger"]["name"]
    if kind == "wandb" and os.environ.get("WANDB_MODE") != "disabled":
        loggers.append(_wandb_logger(settings, folder, facts))
    elif kind == "tensorboard":
        loggers.append(TensorBoardLogger(folder, name="tensorboard", version=""))
    return loggers


def _wandb_logger(settings: Settings, folder: Path, facts: Facts) -> WandbLog:
    offline = not has_wandb_key()
    logger_settings = settings["logger"]
    # silences wandb's lines about runs and directories: one line of ours says it all
    os.environ.setdefault("WANDB_SILENT", "true")
    return WandbLog(
        folder,
        project=logger_settings["project"],
        entity=logger_settings["entity"],
        id=wandb_run.run_id(folder),
        name=folder.name,
        resume=None if offline else "allow",
        offline=offline,
        group=logger_settings["group"] or wandb_run.group(settings),
        job_type=settings["choices"]["method"],
        tags=wandb_run.tags(settings),
        config=wandb_run.config(settings, facts),
    )


def has_wandb_key() -> bool:
    """Return whether W&B would find an API key without asking for one, and may go online."""
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun"):
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for name in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        if name:
            try:
                if netrc.netrc(Path(name).expanduser()).authenticators(host):
                    return True
            except (OSError, netrc.NetrcParseError):
                continue
    return False


def sync_hint(folder: Path) -> str | None:
    """Return a line with the command that uploads offline W&B runs; None: there are none."""
    runs = sorted((folder / "wandb").glob("offline-run-*"))
    if not runs:
        return None
    return f"W&B ran offline; to send it: wandb sync {folder / 'wandb'}/offline-run-*"
