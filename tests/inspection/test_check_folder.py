"""Where a check's findings go."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from inspection.report import check_folder


def test_jobs_of_a_multirun_do_not_write_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_folder("folder") == Path("outputs/check-folder")
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    job = SimpleNamespace(mode=RunMode.MULTIRUN, job=SimpleNamespace(num=3))
    monkeypatch.setattr(HydraConfig, "get", lambda: job)
    assert check_folder("folder") == Path("outputs/check-folder-3")
    job.mode = RunMode.RUN
    assert check_folder("folder") == Path("outputs/check-folder")
