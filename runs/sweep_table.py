"""A Hydra callback that ends every multirun with one table, and with exit code 1 if a job failed.

Each job's result goes to its own file in the sweep folder, so that it does not matter in which
process a launcher runs the job, and the tables on disk follow the sweep while it runs. If a job
raises out of the task function, Hydra never calls `on_multirun_end`; the tables are there all the
same.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from runs.compare import failures, write, write_tables

# their values have columns of their own
_TOLD_ELSEWHERE = {"dataset", "noise", "method", "model", "seed"}


class SweepTable(Callback):
    """Collect what each job of a multirun returns: its flat results, or a dict with `error`."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Forget an earlier sweep in the same folder."""
        shutil.rmtree(_jobs(config), ignore_errors=True)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Store the job's result, and bring the tables up to date."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        try:
            result = job_return.return_value
        except Exception as error:  # what the job raised
            result = {"error": f"{type(error).__name__}: {error}"}
        if not isinstance(result, dict):
            return
        overrides = list(job_return.overrides or [])
        settings = [one for one in overrides if one.partition("=")[0] not in _TOLD_ELSEWHERE]
        row = {"job": " ".join(overrides), **result, "settings": " ".join(settings)}
        jobs = _jobs(config)
        jobs.mkdir(parents=True, exist_ok=True)
        (jobs / f"{config.hydra.job.num:05d}.json").write_text(json.dumps(row, default=str))
        write_tables(_rows(config), config.hydra.sweep.dir)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table.

        Raises:
            SystemExit: with code 1 if a job has no result.
        """
        if not (rows := _rows(config)):
            return
        write(rows, config.hydra.sweep.dir)
        if failed := failures(rows):
            print(f"{len(failed)} of {len(rows)} jobs have no result.", file=sys.stderr)
            raise SystemExit(1)


def _jobs(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir) / "jobs"


def _rows(config: DictConfig) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(_jobs(config).glob("*.json"))]
