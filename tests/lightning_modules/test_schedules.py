import math

import numpy as np
import pytest

from lightning_modules.schedules import Cosine, CosineRestarts, Exponential, Schedule, Steps
from tests import golden

LENGTH = {"steps_per_epoch": 500, "max_steps": 200_000, "learning_rate": 0.1}


def recorded(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps, as completed before, and the rates of one recorded curve."""
    file = golden.load("case_F_lr_schedules")
    if f"{name}/iteration" in file:
        return file[f"{name}/iteration"] - 1, file[f"{name}/lr"]
    return file[f"{name}/global_step"], file[f"{name}/lr"]


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("cosine", CosineRestarts(**LENGTH)),
        ("cosine_long", CosineRestarts(**LENGTH)),
        ("exponential", Exponential(**LENGTH)),
        ("exponential_edges", Exponential(**LENGTH)),
        ("custom_step_default", Steps(**LENGTH, at=(500,))),
        ("custom_step_3", Steps(**LENGTH, at=(500, 1000, 2000))),
        (
            "cosine_warmup_1ep",
            CosineRestarts(
                **{**LENGTH, "steps_per_epoch": 490}, warmup_epochs=1, cycle_epochs=500 / 490
            ),
        ),
        (
            "cosine_warmup_5ep",
            CosineRestarts(
                **{**LENGTH, "steps_per_epoch": 490}, warmup_epochs=5, cycle_epochs=500 / 490
            ),
        ),
    ],
)
def test_equals_the_reference(name: str, schedule: Schedule) -> None:
    steps, rates = recorded(name)
    assert len(steps) > 10
    ours = np.array([schedule(int(step)) for step in steps])
    # the reference computes in float32
    np.testing.assert_allclose(ours, rates, rtol=0, atol=1e-7)


@pytest.mark.parametrize("epoch", [390, 490, 499, 500])
@pytest.mark.parametrize("period", [250, 490, 500, 1000, 2000])
def test_a_stair_begins_at_the_very_step(epoch: int, period: int) -> None:
    """Periods in steps, given in epochs that are no whole number."""
    stairs = Exponential(**{**LENGTH, "steps_per_epoch": epoch}, every_epochs=period / epoch)
    for number in range(1, 100):
        step = number * period
        assert stairs(step - 1) == pytest.approx(0.1 * 0.9 ** (number - 1), rel=1e-12)
        assert stairs(step) == pytest.approx(0.1 * 0.9**number, rel=1e-12)


def test_cosine_restarts_by_hand() -> None:
    schedule = CosineRestarts(learning_rate=0.2, steps_per_epoch=100, max_steps=480)
    assert schedule(0) == 0.2
    assert schedule(50) == pytest.approx(0.1)
    assert schedule(100) == pytest.approx(0.2 * 0.9)
    assert schedule(175) == pytest.approx(0.2 * 0.9 / 2)  # the second cycle has 150 steps
    assert schedule(250) == pytest.approx(0.2 * 0.81)
    assert schedule.cycle_ends() == [100, 250, 475]


def test_cycle_ends_of_the_paper() -> None:
    ends = CosineRestarts(learning_rate=0.1, steps_per_epoch=490, max_steps=200_000).cycle_ends()
    assert ends[:4] == [490, 1225, 2328, 3981]  # 2327.5 and 3981.25, rounded
    # 490 (1.5^n − 1) / 0.5 for n = 12, 13; the reference rounds each cycle and evaluates up to 52
    # steps earlier, where its curve has not ended yet
    assert ends[-2:] == [126_171, 189_747]


def test_every_cycle_starts_at_its_peak_to_the_step() -> None:
    schedule = CosineRestarts(
        learning_rate=1.0, steps_per_epoch=64, max_steps=10_000, cycle_growth=2.0, peak_decay=0.5
    )
    for cycle, start in enumerate([0, 64, 192, 448, 960, 1984, 4032, 8128]):
        assert schedule(start) == 0.5**cycle
        if start:
            assert schedule(start - 1) < 0.01 * 0.5**cycle


def test_restarts_of_equal_length() -> None:
    schedule = CosineRestarts(learning_rate=1.0, steps_per_epoch=10, max_steps=35, cycle_growth=1.0)
    assert [schedule(step) for step in (0, 10, 20)] == pytest.approx([1, 0.9, 0.81])
    assert schedule(15) == pytest.approx(0.45)
    assert schedule.cycle_ends() == [10, 20, 30]


def test_one_cosine_ends_at_zero() -> None:
    schedule = Cosine(learning_rate=0.1, steps_per_epoch=10, max_steps=100, warmup_epochs=2)
    assert [schedule(step) for step in (0, 10, 20, 60)] == pytest.approx([0, 0.05, 0.1, 0.05])
    assert schedule(99) == pytest.approx(0.05 * (1 + math.cos(math.pi * 79 / 80)))
    assert schedule(100) == 0
    assert schedule.cycle_ends() == [100]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"warmup_epochs": -1.0}, "schedule.warmup_epochs"),
        ({"cycle_epochs": 0.0}, "schedule.cycle_epochs"),
        ({"cycle_growth": 0.5}, "schedule.cycle_growth"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, float], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        CosineRestarts(**{**LENGTH, **change})
