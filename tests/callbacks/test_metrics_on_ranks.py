"""What several ranks log is what one process logs that sees their batches as one."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from pytorch_lightning.trainer.states import TrainerFn
from torch import distributed

from benchmarks.ranks import RankPool
from callbacks.beliefs_over_time import BeliefsOverTime
from callbacks.training_log import Window
from datamodules.batch import Batch
from datamodules.samplers import shard_batches
from lightning_modules.evaluation_metrics import EvaluationMetrics
from lightning_modules.objective import Objective

CLASSES, BATCH, STEPS = 10, 24, 4


def share(step: int, rank: int, world_size: int) -> tuple[Objective, Batch]:
    """Return a rank's part of a step."""
    generator = torch.Generator().manual_seed(step)
    logits = torch.randn(BATCH, CLASSES, generator=generator)
    label, clean = torch.randint(CLASSES, (2, BATCH), generator=generator)
    known = torch.rand(BATCH, generator=generator)
    clean = torch.where(known < 0.5, label, clean).masked_fill(known > 0.8, -1)
    weight = torch.rand(BATCH, generator=generator).sub(0.5).clamp(min=0)
    logits, label, clean, weight = (
        one[rank::world_size] for one in (logits, label, clean, weight / weight.sum())
    )
    loss = torch.nn.functional.cross_entropy(logits, label)
    pseudo = logits.softmax(dim=1)
    terms = {"meta/loss": 2 * loss}
    kept = (weight > 0.05).float()
    objective = Objective(loss, terms, logits, weight, kept, pseudo, num_deciding_ranks=world_size)
    return objective, Batch(logits, label, clean, label)


def evaluated(size: int, rank: int, world_size: int) -> dict[str, float]:
    """Return the results on a test set of that size."""
    generator = torch.Generator().manual_seed(size)
    logits = 2 * torch.randn(size, CLASSES, generator=generator)
    label = torch.randint(CLASSES, (size,), generator=generator)
    metrics = EvaluationMetrics("test", CLASSES)
    for rows in shard_batches(size, 7, rank, world_size):
        metrics.update(logits[rows], label[rows])
    return {name: float(value) for name, value in metrics.compute_and_reset().items()}


def everything() -> dict[str, Any]:
    """Return all numbers of a run of some steps, resumed amid a window."""
    world_size, rank = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
    strategy: Any = SingleDeviceStrategy("cpu")
    if world_size > 1:
        distributed.init_process_group("gloo")
        strategy = DDPStrategy(CPUAccelerator(), parallel_devices=[torch.device("cpu")])
    logged: dict[str, float] = {}
    logger = SimpleNamespace(log_metrics=lambda metrics, step: logged.update(metrics))
    trainer: Any = SimpleNamespace(
        is_global_zero=rank == 0,
        global_step=STEPS,
        sanity_checking=False,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
        loggers=[logger],
    )
    window, watching = Window(), BeliefsOverTime(CLASSES)
    for step in range(STEPS):
        if step == STEPS // 2:
            states = window.state_dict(), watching.state_dict()
            window, watching = Window(), BeliefsOverTime(CLASSES)
            window.load_state_dict(states[0])
            watching.load_state_dict(states[1])
        objective, batch = share(step, rank, world_size)
        window.add(objective, batch)
        outputs = {"objective": objective, "batch": batch}
        watching.on_train_batch_end(trainer, Any, outputs, None, step)
    logged |= window.means(strategy)
    watching.on_validation_end(trainer, Any)
    return {
        "logged": logged,
        "weights": watching.weights,
        # 41 do not divide by 2, and of 1 one rank has none
        "evaluated": [evaluated(size, rank, world_size) for size in (41, 1)],
    }


@pytest.mark.ddp
def test_two_ranks_log_what_one_process_does(
    rank_pool: RankPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    alone = everything()
    assert {"weight/ap", "noise/recall", "transition/error", "meta/loss"} <= set(alone["logged"])
    for found in rank_pool.run(2, everything):
        assert found["logged"] == pytest.approx(alone["logged"], rel=1e-5)
        assert found["weights"] == alone["weights"]
        for ours, theirs in zip(found["evaluated"], alone["evaluated"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)
