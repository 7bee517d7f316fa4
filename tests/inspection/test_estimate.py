"""Time and memory foretold from a few steps."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from callbacks import memory
from inspection import estimate_run, rehearsal
from inspection.estimate import Estimate
from inspection.rehearsal import Cost, MeasuredStep, one_device, scaled
from inspection.report import class_table
from runs.build import build_data, build_module, build_schedule
from tests.compose import settings

COST = Cost(0.5, 2**20, 2**30, 0.01, "cpu", 4, 1)


def of(*overrides: str, devices: int = 1) -> Estimate:
    made = settings("trainer=cpu", "model=resnet11", "max_steps=40", *overrides)
    data = build_data(made)
    schedule, plan = build_schedule(made, data)
    module = build_module(made, data, schedule)
    data.setup_lazily()
    return estimate_run.estimate_run(made, data, module, plan, devices)


@pytest.mark.parametrize("method", ["supervised", "l2r", "ieg"])
def test_whole_steps_are_timed_where_there_is_time(method: str) -> None:
    found = of(f"method={method}", "batch_size=20")
    assert (found.cost.timed_examples, found.batch_per_device, found.cost.device) == (20, 20, "cpu")
    assert found.cost.steps == 3
    assert not found.is_scaled
    assert 0.001 < found.seconds_a_step < 10
    assert found.training_seconds == found.seconds_a_step * 40
    assert 0 < found.cost.image_seconds < found.seconds_a_step
    assert found.cost.memory < found.peak_memory


def test_small_steps_are_scaled_where_there_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "TIME_BUDGET", 0.0)
    found = of("method=supervised")
    assert (found.cost.timed_examples, found.batch_per_device) == (4, 100)
    assert found.is_scaled
    assert found.cost.seconds > 0


def test_small_steps_are_scaled_where_there_is_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 0)
    assert of("method=supervised").cost.timed_examples == 4


def test_only_whole_steps_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each size of batch would be compiled anew, for a minute."""
    sizes: list[int] = []

    def counted(pass_: Any) -> Any:
        def at(*given: Any) -> Any:
            sizes.append(len(given[-1]))
            return pass_(*given)

        return at

    monkeypatch.setattr(torch, "compile", lambda pass_, **_: counted(pass_))
    assert of("method=l2r", "batch_size=20", "speed.compile=true").cost.steps == 3
    assert sizes == [20] * 3 * 4  # the probe's pass, the one along v and the last, in four steps
    monkeypatch.setattr(rehearsal, "WHOLE_STEPS", 1)
    assert of("method=l2r", "batch_size=20", "speed.compile=true").cost.steps == 1
    assert len(sizes) == 3 * (4 + 2)


def test_a_tiny_batch_is_timed_as_it_is() -> None:
    found = of("method=supervised", "batch_size=2")
    assert (found.cost.timed_examples, found.batch_per_device) == (2, 2)
    assert not found.is_scaled


def test_scaling_by_hand() -> None:
    two, four = MeasuredStep(2, 1.0, 10.0), MeasuredStep(4, 1.4, 30.0)
    assert scaled([two, four], 4) == pytest.approx((1.4, 30.0))
    assert scaled([two, four], 14) == pytest.approx((1.4 + 10 * 0.2, 30 + 10 * 10))
    # one that was quicker than a smaller one: a quarter of what each example took
    assert scaled([two, MeasuredStep(4, 0.8, 10.0)], 8)[0] == pytest.approx(0.8 + 4 * 0.05)
    assert scaled([two, four, MeasuredStep(4, 1.2, 30.0)], 6)[0] == pytest.approx(1.2 + 2 * 0.1)


@pytest.mark.parametrize(
    ("size", "steps"), [(24, [2, 2, 4, 16, *[24] * 4]), (16, [2, 2, 4, *[16] * 4])]
)
def test_the_module_learns_by_real_steps(
    size: int, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are counted, at the sizes that are said."""
    seen: list[int] = []
    step = rehearsal.Stopwatch.on_train_batch_end

    def spy(self: Any, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, at: int) -> None:
        seen.append(len(batch.train.label))
        assert torch.isfinite(outputs["objective"].loss)
        assert batch.probe is not None
        assert batch.train.strong is not None
        assert not trainer.loggers
        step(self, trainer, module, outputs, batch, at)

    monkeypatch.setattr(rehearsal.Stopwatch, "on_train_batch_end", spy)
    of("method=ieg", f"batch_size={size}")
    assert seen == steps


def test_too_little_memory_of_a_device_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    with pytest.raises(ValueError, match="batch_size=100 is too large"):
        of()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number in range(20):
        split = "test" if number < 4 else "train"
        path = tmp_path / split / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path


def folder(pictures: Path, *overrides: str, devices: int = 1) -> Estimate:
    return of(
        *("dataset=folder", f"data_dir={pictures}", "method=supervised", "batch_size=8"),
        *("dataset.image_size=8", "evaluate_every=20", *overrides),
        devices=devices,
    )


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let computing cost what it does here; return what was to be computed."""
    seen: dict[str, Any] = {}

    def rehearse(settings: Any, module: Any, data: Any, drawn: Any) -> Cost:
        seen["drawn"] = drawn
        return COST._replace(seconds=seen.get("seconds", COST.seconds))

    monkeypatch.setattr(estimate_run, "rehearse", rehearse)
    return seen


def test_reading_comes_on_top_or_beside(pictures: Path, fixed: dict[str, Any]) -> None:
    found = folder(pictures, "dataset.pictures=windows")
    assert found.loading_seconds > 0
    assert found.seconds_a_step == COST.seconds + found.loading_seconds
    assert fixed["drawn"].train.image.shape == (8, 1, 3, 8, 8)
    beside = folder(pictures, "dataset.pictures=windows", "dataset.num_workers=2")
    assert beside.seconds_a_step == COST.seconds
    fixed["seconds"] = 0.0
    slower = folder(pictures, "dataset.pictures=windows", "dataset.num_workers=2")
    assert slower.seconds_a_step == slower.loading_seconds / 2
    assert beside.picture_bytes == 0
    # two evaluations of 4 test pictures
    assert found.evaluation_seconds > 2 * 4 * COST.image_seconds


def test_whole_pictures_take_memory_and_no_time(pictures: Path, fixed: dict[str, Any]) -> None:
    found = folder(pictures)
    assert found.loading_seconds == 0
    assert found.seconds_a_step == COST.seconds
    assert found.evaluation_seconds == pytest.approx(2 * 4 * COST.image_seconds)
    assert found.picture_bytes == 20 * 3 * 8 * 8
    assert found.peak_memory == COST.peak_memory + found.picture_bytes
    assert fixed["drawn"].train.image.shape == (8, 3, 8, 8)


def test_devices_share_a_batch(pictures: Path, fixed: dict[str, Any]) -> None:
    found = folder(pictures, devices=2)
    assert len(fixed["drawn"].train.label) == found.batch_per_device == 4
    assert found.evaluation_seconds == pytest.approx(4 * COST.image_seconds)


def test_what_is_said(pictures: Path, fixed: dict[str, Any]) -> None:
    made = settings("max_steps=7200", "evaluate_every=7200")
    plan = build_schedule(made, build_data(made))[1]
    found = folder(pictures)._replace(training_seconds=3600.0, evaluation_seconds=60.0)
    time, space = found.describe(plan)
    assert time == (
        "time: 2 steps/s on cpu (timed in 1 step of 4, scaled to 8); 7,200 steps and 1 "
        "evaluation take about 1 h 01 min"
    )
    assert space == "memory: about 1.0 GiB in all, 1 MiB of it for a step, 0 MiB of it pictures"
    assert found.as_json(plan)["hours"] == pytest.approx(3660 / 3600)


def test_memory_that_is_not_there_is_told(pictures: Path, fixed: dict[str, Any]) -> None:
    found = folder(pictures)
    needed = COST.memory + found.picture_bytes
    assert found._replace(available_memory=None).shortage() is None
    assert found._replace(available_memory=needed).shortage() is None
    said = found._replace(available_memory=needed - 1).shortage()
    assert said is not None
    assert "need 1 MiB more memory" in said
    # two processes on this machine
    assert found._replace(available_memory=needed, devices=2).shortage() is not None
    gpu = found._replace(available_memory=found.picture_bytes, cost=COST._replace(device="cuda:0"))
    assert gpu.shortage() is None


@pytest.mark.parametrize(
    ("given", "devices"), [({"devices": 4}, 1), ({"devices": [2, 3]}, [2]), ({"devices": -1}, 1)]
)
def test_one_device_stands_for_all(given: dict[str, Any], devices: Any) -> None:
    made = one_device({"strategy": "ddp", "num_nodes": 2, "precision": "32-true", **given})
    assert made["devices"] == devices
    assert (made["strategy"], made["num_nodes"], made["precision"]) == ("auto", 1, "32-true")


def test_the_peak_of_memory_is_seen_and_forgotten() -> None:
    memory.forget_peak()
    before = memory.peak()
    # not from the heap, which may hold memory that was freed and is not given back
    held = mmap.mmap(-1, 64 * 2**20)
    for start in range(0, len(held), 2**12):
        held[start] = 1
    assert memory.peak() - before > 60 * 2**20
    held.close()
    assert memory.peak() - before > 60 * 2**20
    assert memory.resident() <= memory.peak()


def test_the_peak_of_a_gpu_that_was_not_used_yet_need_not_be_forgotten() -> None:
    """torch knows of no peak before its first use of a GPU, and raises an error."""
    memory.forget_gpu_peak(torch.device("cuda:0"))
    memory.forget_gpu_peak(torch.device("cpu"))


def test_many_classes_are_cut_to_the_smallest() -> None:
    rows = [
        {"class": f"c{n}", "noisy": 100 - n, "wrong_of_given": None, "wrong_of_true": None}
        for n in range(40)
    ]
    table = class_table(rows, ["noisy"])
    names = list(table.columns[0].cells)
    assert names[:2] == ["c39", "c38"]
    assert names[30:] == ["10 more", "all"]
    assert list(table.columns[1].cells)[30:] == ["91 to 100", f"{sum(range(61, 101)):,}"]
    assert len(class_table(rows[:30], ["noisy"]).rows) == 31
