from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn

from callbacks.beliefs_over_time import MAX_CLASSES, BeliefsOverTime
from callbacks.transition import add_pairs, transition_error
from callbacks.weight_histogram import BIN_UPPER
from datamodules.batch import Batch
from lightning_modules.objective import Objective


class Spy:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.seen.append((step, metrics))


def trainer(step: int, fn: TrainerFn = TrainerFn.FITTING, **more: Any) -> Any:
    state = {"state": SimpleNamespace(fn=fn), "sanity_checking": False, "loggers": [Spy()]}
    return SimpleNamespace(**{**state, "is_global_zero": True, "global_step": step, **more})


def batch(step: int, weighed: bool = True) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    logits = torch.randn(8, 3, generator=generator)
    label, clean = torch.randint(3, (2, 8), generator=generator)
    clean[0] = -1
    weight = torch.rand(8, generator=generator).sub(0.5).clamp(min=0) if weighed else None
    objective = Objective(torch.tensor(0.0), {}, logits, weight)
    return {"objective": objective, "batch": Batch(logits, label, clean, label)}


def take(watching: BeliefsOverTime, *steps: int) -> None:
    for step in steps:
        watching.on_train_batch_end(trainer(step), Any, batch(step), None, 0)


def test_an_evaluation_publishes_the_steps_since_the_last() -> None:
    watching = BeliefsOverTime(3)
    take(watching, 1, 2)
    watching.on_validation_end(trainer(2), Any)
    take(watching, 3)
    run = trainer(3)
    watching.on_validation_end(run, Any)
    of_step_3 = torch.zeros(2, 3, 3, dtype=torch.int32)
    examples = batch(3)["batch"]
    add_pairs(of_step_3, batch(3)["objective"].logits.argmax(1), *examples[1:3])
    assert of_step_3.sum(dim=(1, 2)).tolist() == [8, 7]
    assert run.loggers[0].seen == [(3, {"transition/error": transition_error(*of_step_3)})]
    assert [step for step, _ in watching.weights] == [2, 3]
    assert [sum(map(sum, counts)) for _, counts in watching.weights] == [16, 8]
    zeros = batch(3)["objective"].example_weight == 0
    assert sum(row[0] for row in watching.weights[1].counts) == zeros.sum()


def test_an_average_example_weighs_one() -> None:
    watching, step = BeliefsOverTime(3), batch(1)
    half = torch.full((8,), 1 / 16)  # another rank has the other half
    step["objective"] = step["objective"]._replace(example_weight=half, num_deciding_ranks=2)
    watching.on_train_batch_end(trainer(1), Any, step, None, 0)
    watching.on_validation_end(trainer(1), Any)
    assert sum(row[BIN_UPPER.index(1.0)] for row in watching.weights[0].counts) == 8


def test_outside_training_nothing_is_published() -> None:
    watching = BeliefsOverTime(3)
    take(watching, 1)
    for other in (trainer(1, TrainerFn.VALIDATING), trainer(1, sanity_checking=True)):
        watching.on_validation_end(other, Any)
        assert other.loggers[0].seen == []
    assert watching.weights == []


def test_without_weights_or_with_too_many_classes_it_is_left_out() -> None:
    watching, run = BeliefsOverTime(MAX_CLASSES + 1), trainer(1)
    watching.on_train_batch_end(run, Any, batch(1, weighed=False), None, 0)
    watching.on_validation_end(run, Any)
    assert watching.weights == run.loggers[0].seen == []


def test_state_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, first, second = (BeliefsOverTime(3) for _ in range(3))
    for watching in (whole, first):
        take(watching, 1, 2)
        watching.on_validation_end(trainer(2), Any)
        take(watching, 3)
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for watching in (whole, second):
        take(watching, 4)
    ends = [trainer(4), trainer(4)]
    for watching, end in zip((whole, second), ends, strict=True):
        watching.on_validation_end(end, Any)
    assert second.weights == whole.weights
    assert ends[0].loggers[0].seen == ends[1].loggers[0].seen != []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_the_device() -> None:
    watching = BeliefsOverTime(3)
    watching.on_fit_start(trainer(0), SimpleNamespace(device=torch.device("cuda")))
    objective, examples = batch(1)["objective"], batch(1)["batch"]
    logits, weight = objective.logits.cuda(), objective.example_weight.cuda()
    outputs = {
        "objective": objective._replace(logits=logits, example_weight=weight),
        "batch": Batch(*(one.cuda() for one in examples)),
    }
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            watching.on_train_batch_end(trainer(1), Any, outputs, None, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    watching.on_validation_end(trainer(3), Any)
    assert sum(map(sum, watching.weights[0].counts)) == 24
