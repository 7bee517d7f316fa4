"""A run's W&B page, by the real client, offline: what it wrote is read back from its files."""

import csv
import json
import os
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from audit.record import Audit
from callbacks.csv_log import read_rows
from callbacks.training_log import TrainingLog
from callbacks.wandb_file import records
from datamodules.batch import KNOWN_WRONG, UNKNOWN
from datamodules.images import ArrayImages
from runs import training
from runs.build import build_data
from runs.settings import Settings
from runs.wandb_page import confusion_charts, log_finished_run, suspicious_table
from runs.wandb_run import group
from tests.audit.audits import some_audit
from tests.compose import settings
from tests.wandb_history import exit_code, history, parts, summary, values


class Ran(NamedTuple):
    """A run that died at step 5 and was resumed from step 3."""

    folder: Path
    settings: Settings
    results: dict[str, Any]
    first: Path
    second: Path

    def media(self, name: str) -> Path:
        (path,) = (self.second.parent / "files" / "media").glob(f"{name}_8_*")
        return path

    def table(self, name: str) -> list[dict[str, Any]]:
        saved = json.loads(self.media(f"table/labels/{name}").read_text())
        return [dict(zip(saved["columns"], row, strict=True)) for row in saved["data"]]

    def labels(self) -> list[dict[str, str]]:
        return list(csv.DictReader((self.folder / "labels.csv").open()))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("wandb") / "run"
    quick = ("method=l2r", "max_steps=8", "evaluate_every=3", "log_every=2", "trainer=cpu")
    made = settings(*quick, "logger=wandb", f"run_dir={folder}")
    take_in = TrainingLog.on_train_batch_end

    def die(self: TrainingLog, trainer: Any, *others: Any) -> None:
        take_in(self, trainer, *others)
        if trainer.global_step == 5:
            raise RuntimeError

    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_DATA_DIR", "WANDB_SWEEP_ID"):
            patch.delenv(name, raising=False)
        patch.setenv("WANDB_MODE", "offline")
        with mock.patch.object(TrainingLog, "on_train_batch_end", die), pytest.raises(RuntimeError):
            training.train(made)
        results = training.train(made)
        assert "WANDB_DATA_DIR" not in os.environ
    return Ran(folder, made, results, *parts(folder))


def test_both_parts_are_one_run_and_its_history_is_the_csv(ran: Ran) -> None:
    assert (exit_code(ran.first), exit_code(ran.second)) == (1, 0)
    assert ran.first.name == ran.second.name
    first, second = history(ran.first), history(ran.second)
    assert list(first) == [2, 3, 4]
    assert list(second) == [6, 8]  # 4 was taken again: the same numbers
    expected = read_rows(ran.folder / "metrics.csv")
    found = {**first, **second}
    assert found.keys() == expected.keys()
    for step, row in expected.items():
        assert found[step]["trainer/global_step"] == step
        for name, value in row.items():
            if step != 4 or name not in ("images_per_second", "memory_bytes"):  # measured twice
                assert found[step][name] == pytest.approx(value, rel=1e-6)


def test_the_summary_has_the_results_and_the_last_metrics(ran: Ran) -> None:
    found = summary(ran.second)
    for name, value in ran.results.items():
        if isinstance(value, int | float) and name not in ("seed", "noise"):
            assert found[name] == value
    assert {"test/acc_last", "noise/auroc", "noise/effective_rate", "seconds"} <= found.keys()
    assert found["test/acc"] == pytest.approx(ran.results["test/acc_last"])


def test_it_is_found_by_its_name_group_and_settings(ran: Ran) -> None:
    for path in (ran.first, ran.second):
        (run,) = [record.run for _, record in records(path) if record.HasField("run")]
        assert (run.display_name, run.project, run.job_type) == ("run", "label-noise", "l2r")
        assert run.run_group == group(ran.settings)
        assert set(run.tags) == {"digits_asym", "noise=0.4", "l2r", "resnet11"}
        assert run.run_id == (ran.folder / "wandb_id").read_text()
        config = values(run.config.update)
        assert (config["method"], config["noise"], config["seed"]) == ("l2r", 0.4, 12345)
        assert config["effective_noise"] == ran.results["noise/effective_rate"]


def test_the_table_begins_as_the_list_of_labels_does(ran: Ran) -> None:
    rows, labels = ran.table("suspicious"), ran.labels()
    assert len(rows) == 100
    for row, label in zip(rows, labels, strict=False):
        assert row["rank"] == int(label["rank"])
        assert row["index"] == int(label["index"])
        for kind in ("given", "suggested", "true"):
            assert row[f"{kind} label"] == label[f"{kind}_label"]
        assert row["trust"] == pytest.approx(float(label["trust"]), abs=1e-6)
        assert row["confidence"] == pytest.approx(float(label["confidence"]), abs=1e-4)


def test_the_tables_pictures_are_those_of_its_rows(ran: Ran) -> None:
    artifacts = [
        record.artifact for _, record in records(ran.second) if record.HasField("artifact")
    ]
    (artifact,) = [one for one in artifacts if "suspicious" in one.name]
    files = {one.path: Path(one.local_path) for one in artifact.manifest.contents}
    table = json.loads(files.pop("labels/suspicious.table.json").read_text())
    assert all(file.is_relative_to(ran.folder) for file in files.values())
    data = build_data(ran.settings)
    data.setup()
    shown = table["columns"].index("picture")
    for row in table["data"][::33]:
        picture = np.asarray(Image.open(files[row[shown]["path"]]))
        image = data.train_set.images.for_evaluation(
            torch.tensor([row[table["columns"].index("index")]])
        )
        plain = image[0].permute(1, 2, 0).numpy()
        assert np.array_equal(picture, np.kron(plain, np.ones((8, 8, 1), np.uint8)))


@pytest.mark.parametrize(
    ("chart", "one", "other"),
    [("given_by_true", "true", "given"), ("suggested_by_given", "given", "suggested")],
)
def test_confusions_are_counts_over_the_list(ran: Ran, chart: str, one: str, other: str) -> None:
    counts = Counter((row[f"{one}_label"], row[f"{other}_label"]) for row in ran.labels())
    cells = ran.table(f"{chart}_table")
    assert len(cells) == 100
    for cell in cells:
        assert cell["count"] == counts[cell[f"{one} label"], cell[f"{other} label"]]


def test_figures_are_there(ran: Ran) -> None:
    figure = ran.media("images/figures/run")
    assert figure.read_bytes() == (ran.folder / "figures" / "run.png").read_bytes()


def test_an_agent_that_asks_for_a_finished_run_is_told_all_of_it(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ran.folder, folder, ignore=shutil.ignore_patterns("wandb"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "agents")
    assert training.train({**ran.settings, "run_dir": str(folder)}) == ran.results
    (path,) = parts(folder)
    assert path.name == "run-agents.wandb"
    assert history(path).keys() == read_rows(folder / "metrics.csv").keys()
    assert summary(path)["noise/auroc"] == ran.results["noise/auroc"]


def audit(clean: list[int], trust: list[float]) -> Audit:
    rows = np.arange(len(clean))
    given, ones = np.zeros_like(rows), np.ones(len(clean))
    return some_audit(
        len(rows),
        index=rows,
        given=given,
        clean=clean,
        suggested=given + 1,
        confidence=ones,
        trust=trust,
        weight=ones,
    )


def data(sides: tuple[int, int], classes: int = 3, paths: tuple[str, ...] | None = None) -> Any:
    image = torch.randint(256, (3, 3, *sides), dtype=torch.uint8)
    names = tuple(f"class {one}" for one in range(classes))
    return SimpleNamespace(
        train_set=SimpleNamespace(images=ArrayImages(image)),
        manifest=SimpleNamespace(class_names=names),
        paths=paths,
    )


def test_photos_are_shown_small_by_their_paths() -> None:
    table = suspicious_table(
        audit([UNKNOWN] * 3, [0.5, 0.1, 0.9]), data((120, 240), paths=("a", "b", "c"))
    )
    assert "true label" not in table.columns
    assert table.get_column("path") == ["b", "a", "c"]
    picture = table.get_column("picture")[0]
    assert (picture.image.size, picture.format) == ((96, 48), "jpg")


def test_what_is_only_known_to_be_wrong_has_no_true_label() -> None:
    table = suspicious_table(audit([0, KNOWN_WRONG, UNKNOWN], [0.3, 0.2, 0.1]), data((32, 32)))
    assert table.get_column("true label") == [None, None, "class 0"]
    assert table.get_column("picture")[0].image.size == (64, 64)


def test_confusions_leave_out_what_is_not_known_or_not_to_be_seen() -> None:
    some = audit([UNKNOWN, UNKNOWN, KNOWN_WRONG], [0.1, 0.2, 0.3])
    assert list(confusion_charts(some, ("a", "b", "c"))) == ["labels/suggested_by_given"]
    assert confusion_charts(some, tuple(map(str, range(101)))) == {}


def test_a_server_that_refuses_does_not_fail_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = mock.Mock(**{"log_metrics.side_effect": ConnectionError("no answer")})
    log_finished_run(logger, {"steps": 8, "seconds": 2.0, "seed": 1, "method": "l2r"}, tmp_path)
    assert "ConnectionError: no answer" in capsys.readouterr().err
    logger.experiment.summary.update.assert_called_once_with({"steps": 8, "seconds": 2.0})
