from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from callbacks.collapse_warning import CollapseWarning
from callbacks.training_log import TrainingLog
from runs import training
from tests.compose import settings

TRAINER: Any = SimpleNamespace(global_step=1200)


@pytest.mark.parametrize(
    ("shares", "num_classes", "warned_at"),
    [
        ([None, 0.12, 0.89], 10, None),
        ([0.12, 0.9, 1.0], 10, 1),  # once
        ([1.0], 3, 0),
        ([1.0], 2, None),
    ],
)
def test_warns_once_when_guesses_are_of_one_class(
    shares: list[float | None],
    num_classes: int,
    warned_at: int | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = TrainingLog()
    watch = CollapseWarning(log, num_classes)
    for number, share in enumerate(shares):
        log.latest = {} if share is None else {"pseudo/top_class_share": share}
        watch.on_validation_end(TRAINER, TRAINER)
        told = capsys.readouterr().out
        assert ("method.guess_trust=2" in told) == (number == warned_at)
        if told:
            assert f"at step 1,200, {share:.0%} of the guessed labels" in told


def test_guesses_that_count_by_trust_already_are_to_count_less(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = TrainingLog()
    log.latest = {"pseudo/top_class_share": 0.95}
    module: Any = SimpleNamespace(guess_trust=2.0)
    CollapseWarning(log, 10).on_validation_end(TRAINER, module)
    assert "method.guess_trust=4," in capsys.readouterr().out


@pytest.mark.parametrize("trust", [0, 2])
def test_the_papers_factors_need_trust_on_digits(
    trust: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    factors = ("method.ce_factor=5", "method.consistency_factor=20", f"method.guess_trust={trust}")
    where = ("logger=csv", "trainer=cpu", f"run_dir={tmp_path}")
    training.train(settings("max_steps=20", "evaluate_every=20", "log_every=10", *factors, *where))
    assert ("of the guessed labels are of one class" in capsys.readouterr().out) == (trust == 0)
