"""The main job through its modes, in this process: train, come back, evaluate."""

import csv
import gc
import json
import re
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image

import train as entry_point
from callbacks.checkpoint_file import load
from callbacks.csv_log import read_metrics
from callbacks.weight_histogram import GROUPS
from inspection import check_mode
from runs.audit import audit
from runs.build import build_data, build_module, build_schedule, build_trainer
from runs.check import check_settings
from runs.evaluate import evaluate
from runs.reopen import merge_settings
from runs.settings import Settings
from runs.training import train
from tests.compose import settings
from tests.metrics_page import documented

QUICK = ("logger=csv", "max_steps=7", "evaluate_every=3", "log_every=2", "trainer=cpu")


def quick(run_dir: Path, *overrides: str) -> Settings:
    made = settings(*QUICK, f"run_dir={run_dir}", *overrides)
    check_settings(made)
    return made


def do(mode: Callable[[Settings], dict[str, Any]], *words: str) -> dict[str, Any]:
    """Do what a command of these words would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *words])
        return mode(settings(*words))


def csv_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


@pytest.fixture(scope="module", params=["supervised", "l2r", "ieg"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, Any]]:
    run_dir = tmp_path_factory.mktemp("runs") / request.param
    results = train(quick(run_dir, f"method={request.param}"))
    return request.param, run_dir, results


def test_a_run_leaves_everything_behind(trained: tuple[str, Path, dict[str, Any]]) -> None:
    method, run_dir, results = trained
    assert {path.name for path in run_dir.iterdir()} == {
        ".lock",
        "config.yaml",
        "manifest.json",
        "labels.npz",
        "checkpoints",
        "metrics.csv",
        "results.json",
        "figures",
        "labels.csv",
        "labels_cleaned.csv",
        "labels_cleaned.npz",
        "label_next.csv",
        "report.html",
    } | (set() if method == "supervised" else {"weights.csv"})
    assert (run_dir / "figures" / "run.png").stat().st_size > 10_000
    assert json.loads((run_dir / "results.json").read_text()) == results
    assert results["method"] == method
    assert results["finished"] is True
    assert results["steps"] == 7
    assert 0 <= results["test/acc_last"] <= results["test/acc_best_oracle"] <= 1
    assert results["test/top5_last"] >= results["test/acc_last"]
    assert results["noise/nominal_rate"] == 0.4
    assert results["noise/effective_rate"] == pytest.approx(0.2, abs=0.04)
    assert ("noise/auroc_weight" in results) == (method != "supervised")


def test_metrics_are_at_their_steps(trained: tuple[str, Path, dict[str, Any]]) -> None:
    method, run_dir, results = trained
    rows = list(csv.DictReader((run_dir / "metrics.csv").open()))
    at = {
        name: [int(row["step"]) for row in rows if row.get(name)]
        for name in (
            "test/acc",
            "transition/error",
            "train/loss",
            "lr",
            "weight/auroc",
            "weight/ap",
            "meta/loss",
        )
    }
    assert at["test/acc"] == at["transition/error"] == [3, 6, 7]
    assert at["train/loss"] == at["lr"] == [2, 4, 6, 7]
    assert at["meta/loss"] == ([] if method == "supervised" else [2, 4, 6, 7])
    assert at["weight/auroc"] == at["weight/ap"] == at["meta/loss"]
    assert float(rows[-1]["test/acc"]) == pytest.approx(results["test/acc_last"], rel=1e-6)


def test_what_is_logged_is_documented_and_what_is_documented_is_logged(
    trained: tuple[str, Path, dict[str, Any]],
) -> None:
    method, run_dir, results = trained
    logged = set(csv.DictReader((run_dir / "metrics.csv").open()).fieldnames or []) - {"step"}
    if method != "supervised":  # in metrics.csv there is no room for histograms
        groups = {row["group"] for row in csv.DictReader((run_dir / "weights.csv").open())}
        assert groups == set(GROUPS)
        logged |= {f"weight/{group}" for group in groups}
    assert logged | {"<test set>/…"} == documented("Metrics", method)
    named = documented("`results.json`", method)
    assert set(results) <= named
    # what an audit finds, and how well, is not there where it found nothing
    audit = ("noise/ap", "noise/suspicious", "cleaned/")
    assert all(name.startswith(audit) for name in named - set(results))


def test_weights_are_counted_from_evaluation_to_evaluation(
    trained: tuple[str, Path, dict[str, Any]],
) -> None:
    method, run_dir, _ = trained
    if method == "supervised":
        return
    examples: dict[str, dict[str, int]] = {}
    for row in csv.DictReader((run_dir / "weights.csv").open()):
        of_step = examples.setdefault(row["step"], dict.fromkeys(GROUPS, 0))
        of_step[row["group"]] += int(row["count"])
    assert {step: sum(groups.values()) for step, groups in examples.items()} == {
        "3": 300,
        "6": 300,
        "7": 100,
    }
    assert all(groups["unknown"] == 0 < groups["wrong"] for groups in examples.values())


def test_labels_are_ranked_by_suspicion(trained: tuple[str, Path, dict[str, Any]]) -> None:
    _, run_dir, _ = trained
    rows = csv_rows(run_dir / "labels.csv")
    drawn = np.load(run_dir / "labels.npz")
    given = dict(zip(drawn["train_rows"].tolist(), drawn["given"].tolist(), strict=True))
    clean = dict(zip(drawn["train_rows"].tolist(), drawn["clean"].tolist(), strict=True))
    # 7 batches of 100 visit 700 of 1,197 examples, each once
    assert len(rows) == 700
    assert {row["visits"] for row in rows} == {"1"}
    trust = [float(row["trust"]) for row in rows]
    assert trust == sorted(trust)
    assert [int(row["rank"]) for row in rows] == list(range(1, 701))
    for row in rows:
        assert int(row["given_label"]) == given[int(row["index"])]
        assert int(row["true_label"]) == clean[int(row["index"])]


def test_an_audit_of_a_checkpoint_is_the_runs_own(
    trained: tuple[str, Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, run_dir, results = trained
    before = {path.name: path.read_bytes() for path in run_dir.glob("label*")}
    run = tmp_path / "run"
    shutil.copytree(run_dir, run)
    words = ["mode=audit", f"checkpoint={run}", "audit.label_next=7", "audit.parquet=true"]
    found = do(audit, *words)
    assert found.pop("settings")["method"] == settings(f"method={trained[0]}")["method"]
    # the run saw 700 of 1,197 examples; the audit looks at all
    assert len(csv_rows(run / "labels.csv")) == 1_197
    assert len(csv_rows(run / "label_next.csv")) == 7
    assert (run / "labels.parquet").exists()
    told = {"test/acc_last", "seconds", "command", "peak_memory_bytes", "finished", "steps"}
    assert {name: found[name] for name in told} == {name: results[name] for name in told}
    assert json.loads((run / "results.json").read_text()) == found
    assert {path.name: path.read_bytes() for path in run_dir.glob("label*")} == before
    again = do(audit, *words)
    del again["settings"]
    assert again == {**found, "command": again["command"]}
    copy = tmp_path / "elsewhere.ckpt"
    shutil.copy(run / "checkpoints" / "last.ckpt", copy)
    with pytest.raises(ValueError, match="does not lie in the folder of a run: give run_dir="):
        do(audit, "mode=audit", f"checkpoint={copy}")
    into = ["mode=audit", f"checkpoint={copy}", f"run_dir={run}"]
    with pytest.raises(ValueError, match="holds another run, whose results would be lost"):
        do(audit, *into)
    into = ["mode=audit", f"checkpoint={copy}", f"run_dir={copy}"]
    with pytest.raises(ValueError, match=r"elsewhere\.ckpt cannot be written: give run_dir="):
        do(audit, *into)


def test_an_audit_of_an_earlier_checkpoint_tells_how_the_run_was_begun(
    trained: tuple[str, Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, run_dir, results = trained
    (tmp_path / "checkpoints").mkdir()
    earlier = tmp_path / "checkpoints" / "previous.ckpt"
    shutil.copy(run_dir / "checkpoints" / "last.ckpt", earlier)
    rows = (run_dir / "metrics.csv").read_text().splitlines(keepends=True)
    later = rows[-1].replace(rows[-1].split(",")[0], "9999", 1)
    (tmp_path / "metrics.csv").write_text("".join([*rows, later]))
    drawn: list[Any] = []
    monkeypatch.setattr("runs.results.draw_run", lambda metrics, *_, **__: drawn.append(metrics))
    words = ["mode=audit", f"checkpoint={earlier}"]
    found = do(audit, *words)
    assert found["command"] == results["command"]
    assert found["run_dir"] == str(tmp_path / "audit-previous")
    # with the curves of the run up to there
    assert drawn == [read_metrics(run_dir / "metrics.csv")]
    assert found["images_per_second"] == results["images_per_second"]


def test_evaluation_gives_the_number_that_training_reported(
    trained: tuple[str, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    _, run_dir, results = trained
    for checkpoint in (run_dir, run_dir / "checkpoints" / "last.ckpt"):
        found = do(evaluate, f"checkpoint={checkpoint}", "mode=evaluate", "trainer=cpu")
        assert found["test/acc"] == results["test/acc_last"]
        assert found["test/top5"] == results["test/top5_last"]
        assert found["test/loss"] == results["test/loss_last"]
        assert found["test/ece"] == results["test/ece_last"]
        assert found["steps"] == 7
    assert json.loads((run_dir / "evaluation-last.json").read_text()) == found
    assert f'"test/acc": {results["test/acc_last"]}' in capsys.readouterr().out


def test_the_trainer_that_fitted_tests_the_averaged_network_too(tmp_path: Path) -> None:
    """Where weights are swapped by a callback, `trainer.test(ckpt_path=…)` tests the raw ones."""
    results = train(made := quick(tmp_path / "run", "method=supervised"))
    data = build_data(made)
    schedule, _ = build_schedule(made, data)
    module = build_module(made, data, schedule)
    trainer = build_trainer(made, max_steps=2, callbacks=[])
    trainer.fit(module, datamodule=data)
    trainer.test(
        module,
        datamodule=data,
        ckpt_path=tmp_path / "run" / "checkpoints" / "last.ckpt",
        weights_only=True,
        verbose=False,
    )
    assert trainer.callback_metrics["test/loss"].item() == results["test/loss_last"]
    raw = module.averaged.net
    assert any(
        not torch.equal(mine, theirs)
        for mine, theirs in zip(raw.parameters(), module.net.parameters(), strict=True)
    )


def test_the_same_command_again_says_that_the_run_is_finished(
    trained: tuple[str, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    method, run_dir, results = trained
    before = (run_dir / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert train(quick(run_dir, f"method={method}")) == results
    assert "finished" in capsys.readouterr().out
    assert (run_dir / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


def test_a_finished_run_says_that_its_lists_were_written_with_other_settings(
    trained: tuple[str, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    method, run_dir, results = trained
    assert train(quick(run_dir, f"method={method}", "audit.confidence=0.9")) == results
    printed = capsys.readouterr().out
    assert "written with audit.confidence=0.5 when it ended; the same command with mode" in printed
    train(quick(run_dir, f"method={method}"))
    assert "written with" not in capsys.readouterr().out


def test_a_finished_run_is_not_shown_for_lists_that_say_something_else(tmp_path: Path) -> None:
    for number in range(8):
        path = tmp_path / "zoo" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 30 * number).save(path)
    listed = tmp_path / "checked.csv"
    listed.write_text("path,true_label\na/0.png,a\n")
    made = settings(
        "dataset=folder", f"data_dir={tmp_path}/zoo", f"dataset.trusted={listed}", "max_steps=1",
        "method=supervised", "model=resnet11", "dataset.image_size=8", "batch_size=2",
        "logger=none", "trainer=cpu", f"run_dir={tmp_path}/run",
    )  # fmt: skip
    results = train(made)
    assert train(made) == results
    listed.write_text("path,true_label\na/0.png,a\nb/1.png,b\n")
    with pytest.raises(ValueError, match="The data drawn now differ from those the run"):
        train(made)


def test_evaluation_keeps_the_precision_and_the_data_of_training(tmp_path: Path) -> None:
    run_dir, data = tmp_path / "run", f"data_dir={tmp_path}/data"
    results = train(quick(run_dir, "method=l2r", "trainer.precision=bf16-mixed", data))
    overrides = ["mode=evaluate", f"checkpoint={run_dir}"]
    found = do(evaluate, *overrides)
    assert found["test/loss"] == results["test/loss_last"]
    saved = load(run_dir / "checkpoints" / "last.ckpt")["experiment"]["settings"]
    merged = merge_settings(saved, settings(*overrides), overrides, run_dir)
    assert merged["dataset"]["data_dir"] == f"{tmp_path}/data"
    assert merged["trainer"]["precision"] == "bf16-mixed"
    overrides += ["data_dir=/elsewhere", "dataset.num_workers=1", "trainer.devices=2"]
    merged = merge_settings(saved, settings(*overrides), overrides, run_dir)
    assert merged["dataset"]["data_dir"] == "/elsewhere"
    assert merged["dataset"]["num_workers"] == 1
    with pytest.raises(ValueError, match=r"was made with trainer\.precision=bf16-mixed"):
        merge_settings(saved, settings(), ["trainer.precision=32-true"], run_dir)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"the loss of step 2 was not finite \(train/loss="
    ) as told:
        train(quick(tmp_path / "run", "method=supervised", "learning_rate=1e30"))
    rows = re.search(r"on the training examples ([\d, ]+)", str(told.value))
    assert rows
    assert len(rows[1].split(",")) == 100
    assert not (tmp_path / "run" / "results.json").exists()
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def unfinished(run_dir: Path) -> Settings:
    """Leave a run with checkpoints of steps 6 and 7 and no result."""
    made = quick(run_dir, "method=supervised")
    train(made)
    (run_dir / "results.json").unlink()
    return made


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """One bit of a weight, which torch.load would take for what was written."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [torn, flipped, lambda _: b""])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    made = unfinished(tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    whole = load(last)
    last.write_bytes(damage(last.read_bytes()))
    train(made)
    said = capsys.readouterr().out
    assert "last.ckpt cannot be read as a checkpoint" in said
    assert "It is now last.damaged; going on from previous.ckpt, step 6" in said
    assert last.with_name("last.damaged").exists()
    again = load(last)
    assert again["global_step"] == 7
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name])


def test_where_no_checkpoint_is_whole_nothing_is_touched(tmp_path: Path) -> None:
    made = unfinished(tmp_path / "run")
    paths = sorted((tmp_path / "run" / "checkpoints").glob("[lp]*.ckpt"))
    assert [path.name for path in paths] == ["last.ckpt", "previous.ckpt"]
    for path in paths:
        path.write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"last.ckpt cannot be read.*previous.ckpt cannot be read"):
        train(made)
    assert [path.read_bytes() for path in paths] == [b"torn", b"torn"]


def test_a_run_that_died_between_two_checkpoints_goes_on(tmp_path: Path) -> None:
    made = unfinished(tmp_path / "run")
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "last.ckpt").rename(checkpoints / "last.ckpt.partial")
    train(made)
    assert load(checkpoints / "last.ckpt")["global_step"] == 7


def test_another_runs_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    train(quick(tmp_path / "other", "method=supervised", "learning_rate=0.2"))
    made = unfinished(tmp_path / "run")
    theirs, ours = (tmp_path / one / "checkpoints" / "last.ckpt" for one in ("other", "run"))
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(ValueError, match=r"another experiment's \(learning_rate: 0\.2 → 0\.1"):
        train(made)
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_longer_run_goes_on_where_the_schedule_allows(tmp_path: Path) -> None:
    def lasting(run_dir: Path, steps: int, schedule: str) -> Settings:
        return quick(run_dir, "method=supervised", f"max_steps={steps}", f"schedule={schedule}")

    restarts = "cosine_restarts"
    train(lasting(tmp_path / "run", 5, restarts))
    assert train(lasting(tmp_path / "run", 9, restarts))["steps"] == 9
    train(lasting(tmp_path / "whole", 9, restarts))
    ours, theirs = (
        load(tmp_path / one / "checkpoints" / "last.ckpt")["state_dict"] for one in ("run", "whole")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    with pytest.raises(ValueError, match=r"max_steps: 9 → 4\) that has taken 9 steps"):
        train(lasting(tmp_path / "run", 4, restarts))

    train(lasting(tmp_path / "one", 5, "cosine"))
    with pytest.raises(ValueError, match=r"max_steps: 5 → 9\).*rate of its step 2 would have been"):
        train(lasting(tmp_path / "one", 9, "cosine"))


def test_results_without_a_checkpoint_are_not_trained_over(tmp_path: Path) -> None:
    words = ("method=supervised", "schedule=step")
    results = train(quick(tmp_path, *words))
    shutil.rmtree(tmp_path / "checkpoints")
    left = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    longer = quick(tmp_path, *words, "max_steps=9")
    with pytest.raises(ValueError, match=r"results of 7 steps, and no checkpoint .* fresh=true"):
        train(longer)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == left
    assert train(quick(tmp_path, *words)) == results  # what it is, is still shown


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    made = unfinished(tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text("[")
    with pytest.raises(ValueError, match=r"config.yaml is damaged.*fresh=true"):
        train(made)


def test_fresh_starts_again_and_keeps_the_old(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    first = train(quick(run_dir, "method=supervised"))
    second = train(quick(run_dir, "method=supervised", "fresh=true"))
    assert first["test/loss_last"] == second["test/loss_last"]
    assert (tmp_path / "run.replaced-1" / "results.json").exists()


def test_a_finished_folder_of_another_experiment_is_not_taken_for_ours(tmp_path: Path) -> None:
    train(quick(tmp_path / "run", "method=supervised"))
    with pytest.raises(ValueError, match=r"noise: 0\.4 → 0\.2"):
        train(quick(tmp_path / "run", "method=supervised", "noise=0.2"))


def test_another_machines_draws_are_noticed(tmp_path: Path) -> None:
    train(quick(tmp_path / "run", "method=supervised"))
    path = tmp_path / "run" / "manifest.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({**saved, "hash": "0" * 64}))
    (tmp_path / "run" / "results.json").unlink()
    with pytest.raises(ValueError, match="differ"):
        train(quick(tmp_path / "run", "method=supervised"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=resnet29", "was made with model=resnet11, not model=resnet29"),
        ("dataset=cifar10_asym", "was made with dataset=digits_asym"),
        ("noise=0.1", "was made with noise=0.4, not noise=0.1"),
        ("dataset.pad=3", "was made with dataset.pad=1"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(
    tmp_path_factory: pytest.TempPathFactory, override: str, message: str
) -> None:
    run_dir = tmp_path_factory.getbasetemp() / "shared_run"
    if not run_dir.exists():
        train(quick(run_dir, "method=supervised"))
    overrides = ["mode=evaluate", f"checkpoint={run_dir}", override]
    with pytest.raises(ValueError, match=re.escape(message)):
        do(evaluate, *overrides)


def test_what_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no checkpoint at"):
        do(evaluate, "mode=evaluate", f"checkpoint={tmp_path}")
    (tmp_path / "noise.ckpt").write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        do(evaluate, f"checkpoint={tmp_path / 'noise.ckpt'}")
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="not of this project"):
        do(evaluate, f"checkpoint={tmp_path / 'other.ckpt'}")


class Hostile:
    """A pickle that would write a file if it were executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.path, "executed"))


def test_a_hostile_checkpoint_executes_nothing(tmp_path: Path) -> None:
    torch.save({"experiment": Hostile(tmp_path / "proof")}, tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        do(evaluate, f"checkpoint={tmp_path / 'bad.ckpt'}")
    assert not (tmp_path / "proof").exists()


def test_a_hostile_last_checkpoint_executes_nothing_and_the_one_before_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = unfinished(tmp_path / "run")
    hostile = {"experiment": Hostile(tmp_path / "proof")}
    torch.save(hostile, tmp_path / "run" / "checkpoints" / "last.ckpt")
    train(made)
    assert "going on from previous.ckpt" in capsys.readouterr().out
    assert not (tmp_path / "proof").exists()


def test_check_trains_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_mode.check(quick(tmp_path / "run", "mode=check"))
    said = capsys.readouterr().out
    assert "1,197 noisy + 100 probe" in said
    assert "nominal 0.40, effective 0.20" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_ieg_beats_supervised_on_digits(tmp_path: Path) -> None:
    """The main job, as configured, one seed; README's table has three."""
    accuracy = {
        method: train(
            settings(f"method={method}", "logger=csv", f"run_dir={tmp_path / method}", "seed=1")
        )["test/acc_last"]
        for method in ("supervised", "ieg")
    }
    assert accuracy["ieg"] > 0.95
    assert accuracy["ieg"] > accuracy["supervised"] + 0.03


def test_a_network_that_does_not_fit_is_told_and_nothing_is_opened(tmp_path: Path) -> None:
    net = ("model=torchvision", "model.net.name=squeezenet1_0")  # its pools need more than 8x8
    with pytest.raises(ValueError, match="cannot be trained on pictures of 8x8"):
        train(quick(tmp_path / "run", *net))
    assert not (tmp_path / "run").exists()


def test_a_job_begins_without_what_the_one_before_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Data:
        def __init__(self) -> None:
            self.trainer = self

    left: list[weakref.ref[Data]] = []

    def job(settings: dict[str, Any]) -> dict[str, Any]:
        alive = sum(data() is not None for data in left)
        left.append(weakref.ref(Data()))
        return {"alive": alive}

    monkeypatch.setattr(entry_point, "plain_settings", lambda _: {"mode": "compare"})
    monkeypatch.setattr(entry_point, "check_settings", lambda *_, **__: None)
    monkeypatch.setattr(entry_point, "HydraConfig", mock.Mock())
    monkeypatch.setattr(entry_point, "get_method", lambda _: job)
    gc.disable()
    try:
        assert [entry_point.run(DictConfig({})) for _ in range(3)] == [{"alive": 0}] * 3
    finally:
        gc.enable()
