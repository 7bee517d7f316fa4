"""A Hydra callback that ends every multirun with one table, and with exit code 1 if a job failed.

Each job's result goes to its own file in the sweep folder, so it does not matter in which process
a launcher runs the job, and the tables on disk are updated while the sweep runs. If a job raises
out of the task function, Hydra never calls `on_multirun_end`, but the tables are there already.
"""

import fcntl
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from datamodules.atomic import write_text
from runs.compare import write_comparison
from runs.comparison import distinguish_runs, not_counted
from runs.job_list import print_job_list, write_job_list
from runs.rows import JOBS_FOLDER, Row, read_jobs, trains_nothing
from runs.settings import plain_settings
from runs.table import write_tables


class SweepTable(Callback):
    """Collect what each job of a multirun returns: its flat results, or a dict with `error`."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Delete the job results of an earlier sweep in the same folder."""
        shutil.rmtree(_jobs_folder(config), ignore_errors=True)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Store the job's result, and update the tables."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        try:
            result = job_return.return_value
        except Exception as error:  # what the job raised
            result = {"error": f"{type(error).__name__}: {error}"}
        if not isinstance(result, dict):
            return
        row: Row = {"job": " ".join(job_return.overrides or [])}
        if job_return.cfg is not None:
            row["mode"] = job_return.cfg.get("mode")
            if "error" not in result:  # a result may bring other settings, a checkpoint's
                row["settings"] = plain_settings(job_return.cfg)
        row |= result
        jobs = _jobs_folder(config)
        jobs.mkdir(parents=True, exist_ok=True)
        write_text(jobs / f"{config.hydra.job.num:05d}.json", json.dumps(row, default=str))
        with _table_lock(jobs):
            compared, listed = _compared_and_listed(jobs.parent)
            if compared:
                write_tables(distinguish_runs(compared), jobs.parent)
            if listed:
                write_job_list(listed, jobs.parent)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write and print the table, the list of jobs that train nothing, or both.

        Raises:
            SystemExit: with code 1 if a job has no result.
        """
        folder = Path(config.hydra.sweep.dir)
        compared, listed = _compared_and_listed(folder)
        if compared:
            write_comparison(compared, folder)
        if listed:
            write_job_list(listed, folder)
            print_job_list(listed, folder)
        failed = len(not_counted(compared)) + sum("error" in row for row in listed)
        if failed:
            count = len(compared) + len(listed)
            print(f"{failed} of {count} jobs have no result.", file=sys.stderr)
            raise SystemExit(1)


@contextmanager
def _table_lock(jobs: Path) -> Iterator[None]:
    """Keep other jobs of the sweep from writing its tables; wait until none does."""
    with (jobs / ".lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def _compared_and_listed(folder: Path) -> tuple[list[Row], list[Row]]:
    """Return the jobs so far: those that are compared, and those that are only listed."""
    rows = read_jobs(folder)
    return [row for row in rows if not trains_nothing(row)], [
        row for row in rows if trains_nothing(row)
    ]


def _jobs_folder(config: DictConfig) -> Path:
    return Path(config.hydra.sweep.dir) / JOBS_FOLDER
