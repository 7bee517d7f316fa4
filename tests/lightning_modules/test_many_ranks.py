"""R ranks by real DDP (gloo) against one process that has the R groups of the joined batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, distributed, nn

from benchmarks.ranks import RankPool
from datamodules.batch import Batch, Step, Views
from datamodules.randomness import torch_generator
from lightning_modules.base import NoisyLabelModule
from lightning_modules.ieg import IEG
from lightning_modules.l2r import L2R
from lightning_modules.mixup import draw_mixup
from lightning_modules.schedules import Schedule
from lightning_modules.supervised import Supervised
from runs.compiler import missing_for_compiling
from tests.lightning_modules.joined import LEARNING_RATE, Group, Joined
from tests.lightning_modules.replay import fit

METHODS: dict[str, tuple[type[NoisyLabelModule], dict[str, Any]]] = {
    "supervised": (Supervised, {"ema_order": "before"}),
    "l2r": (L2R, {"ema_order": "before"}),
    "ieg": (IEG, {}),
    "ieg by trust": (IEG, {"guess_trust": 2.0, "differentiable_guess": False}),
}
# `speed.compile` is optional, and `train.py` refuses it where this is missing.
needs_a_compiler = pytest.mark.skipif(
    missing_for_compiling() is not None, reason=f"missing: {missing_for_compiling()}"
)
STEPS, BATCH, SEED, DECAY = 20, 16, 11, 1e-3
DTYPES = {"64-true": torch.float64, "32-true": torch.float32}


def network(norm: bool) -> nn.Module:
    """Return a small smooth network: no ReLU, whose kink rounding could fall on either side of."""
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8) if norm else nn.Identity(),
        nn.Tanh(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def share(step: int, rank: int, world_size: int, dtype: torch.dtype) -> Step:
    """Return a rank's part of the global batch of a step."""
    generator = torch.Generator().manual_seed(step)
    image, probe = torch.randn(2, BATCH, 3, 8, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (2, BATCH), generator=generator)
    # classes that can be learnt, so that weights and guesses become more than noise
    image += labels[0][:, None, None, None] / 5 - 1
    probe += labels[1][:, None, None, None] / 5 - 1
    strong = 0.8 * image.flip(3)
    weak, strong, trusted = (
        part.to(dtype).chunk(world_size)[rank] for part in (image, strong, probe)
    )
    given, clean = (part.chunk(world_size)[rank] for part in labels)
    nothing = torch.empty(0)
    return Step(
        Views(weak, strong, given),
        Views(trusted, None, clean),
        Batch(nothing, given, given, nothing),
    )


class End(NamedTuple):
    """What a rank has in the end."""

    theta: dict[str, Tensor]
    averaged: dict[str, Tensor]  # buffers included
    momentum: dict[str, Tensor]
    weights: Tensor  # (steps, B / ranks), or empty
    relative_weights: Tensor  # the same, of which an average one is 1
    messages: list[list[int]]  # elements of each of a step's own collectives


class Notes(pl.Callback):
    def __init__(self) -> None:
        self.weights: list[Tensor] = []
        self.relative_weights: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        objective = outputs["objective"]
        if objective.example_weight is not None:
            self.weights.append(objective.example_weight)
            self.relative_weights.append(objective.relative_weight)

    def stacked(self) -> list[Tensor]:
        every = (self.weights, self.relative_weights)
        return [torch.stack(one) if one else torch.empty(0) for one in every]


@contextmanager
def counted(module: NoisyLabelModule) -> Iterator[list[list[int]]]:
    """Count what a training step itself sends: all but DDP's own reduction of the gradient."""
    messages: list[list[int]] = []
    inner, reduce = module.training_step, distributed.all_reduce

    def all_reduce(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        messages[-1].append(tensor.numel())
        return reduce(tensor, *args, **kwargs)

    def training_step(*args: Any) -> Any:
        messages.append([])
        refused = {
            name: mock.Mock(side_effect=AssertionError(name))
            for name in ("all_gather", "broadcast", "reduce", "all_to_all", "barrier", "send")
        }
        with mock.patch.multiple(distributed, all_reduce=all_reduce, **refused):
            return inner(*args)

    with mock.patch.object(module, "training_step", training_step):
        yield messages


def train(method: str, norm: bool, precision: str, folder: str, *others: tuple[str, Any]) -> End:
    """Train on this rank's shares."""
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    kind, more = METHODS[method]
    schedule = Schedule(learning_rate=LEARNING_RATE, steps_per_epoch=5, max_steps=STEPS)
    module = kind(
        network(norm), num_classes=10, schedule=schedule, seed=SEED, weight_decay=DECAY,
        **more, **dict(others),
    )  # fmt: skip
    notes = Notes()
    steps = [share(step, rank, world_size, DTYPES[precision]) for step in range(STEPS)]
    with counted(module) as messages:
        fit(module, steps, callbacks=[notes], precision=precision, default_root_dir=folder,
            strategy="ddp", devices=world_size)  # fmt: skip
    momentum = module.momentum_buffers()
    assert momentum is not None
    return End(
        {name: value.detach() for name, value in module.theta().items()},
        {name: value.detach() for name, value in module.averaged.net.state_dict().items()},
        momentum,
        *notes.stacked(),
        messages,
    )


def joined(method: str, norm: bool, precision: str, world_size: int) -> Joined:
    """Train one process on all groups."""
    dtype = DTYPES[precision]
    run = Joined(network(norm).to(dtype), method, DECAY)
    for step in range(STEPS):
        groups = []
        for rank in range(world_size):
            train, probe, _ = share(step, rank, world_size, dtype)
            assert probe is not None
            generator = torch_generator(SEED, "method", step, rank)
            size = BATCH // world_size
            groups.append(Group(train, probe, draw_mixup(generator, size, size)))
        run.step(groups)
    return run


def furthest(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """Return the largest difference relative to each tensor's largest magnitude."""
    return max(
        float((ours[name].double() - value.detach().double()).abs().max())
        / float(value.detach().double().abs().max() + 1e-12)
        for name, value in theirs.items()
    )


@pytest.mark.ddp
@pytest.mark.parametrize(("precision", "rounding"), [("64-true", 1e-12), ("32-true", 1e-4)])
@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("method", METHODS)
def test_ranks_are_one_process_with_their_groups(
    method: str,
    world_size: int,
    precision: str,
    rounding: float,
    rank_pool: RankPool,
    tmp_path: Any,
) -> None:
    ends = rank_pool.run(world_size, train, method, True, precision, str(tmp_path))
    expected = joined(method, True, precision, world_size)

    assert furthest(ends[0].theta, expected.theta) < rounding
    assert furthest(ends[0].momentum, expected.momentum) < rounding
    assert furthest(ends[0].averaged, expected.averaged()) < rounding
    if expected.weights:
        weights = torch.cat([end.weights for end in ends], dim=1)
        assert furthest({"": weights}, {"": torch.stack(expected.weights)}) < rounding
        assert 0 < (weights == 0).sum() < weights.numel()
    for end in ends[1:]:
        for mine, first in ((end.theta, ends[0].theta), (end.momentum, ends[0].momentum)):
            assert all(torch.equal(mine[name], value) for name, value in first.items())
        parameters = list(ends[0].theta)
        assert all(torch.equal(end.averaged[n], ends[0].averaged[n]) for n in parameters)


@pytest.mark.ddp
@pytest.mark.parametrize("scope", ["global", "replica"])
def test_an_average_weight_is_one_whoever_decides(
    scope: str, rank_pool: RankPool, tmp_path: Any
) -> None:
    ends = rank_pool.run(2, train, "l2r", True, "64-true", str(tmp_path), ("meta_scope", scope))
    each = torch.stack([end.relative_weights.mean(dim=1) for end in ends])  # (ranks, steps)
    deciders = each if scope == "replica" else each.mean(dim=0)
    some = deciders[deciders > 0]  # where no example helps, all weigh nothing
    assert len(some) > 0.9 * deciders.numel()
    # the sum is h / (h + 1e-5), h the helpful part: less than 1 by 1e-5 / h
    torch.testing.assert_close(some, torch.ones_like(some), atol=1e-3, rtol=0)


@pytest.mark.ddp
@needs_a_compiler
def test_ranks_may_compile(rank_pool: RankPool, tmp_path: Any) -> None:
    ends = rank_pool.run(2, train, "ieg", True, "64-true", str(tmp_path), ("compile", True))
    expected = joined("ieg", True, "64-true", 2)
    assert furthest(ends[0].theta, expected.theta) < 1e-12
    assert furthest(ends[0].averaged, expected.averaged()) < 1e-12


@pytest.mark.ddp
@pytest.mark.parametrize(("precision", "rounding"), [("64-true", 1e-12), ("32-true", 1e-4)])
@pytest.mark.parametrize("method", ["supervised", "l2r"])
def test_without_batch_statistics_ranks_are_one_process(
    method: str, precision: str, rounding: float, rank_pool: RankPool, tmp_path: Any
) -> None:
    alone, *_ = rank_pool.run(1, train, method, False, precision, str(tmp_path))
    for world_size in (2, 4):
        first, *_ = rank_pool.run(world_size, train, method, False, precision, str(tmp_path))
        assert furthest(first.theta, alone.theta) < rounding
        assert furthest(first.averaged, alone.averaged) < rounding


@pytest.mark.ddp
def test_a_step_sends_what_the_mathematics_needs(rank_pool: RankPool, tmp_path: Any) -> None:
    """The look-ahead gradient, the probe gradient, and one number; L2R's look-ahead is decay's.

    And the probe's accuracy, where guesses count by it.
    """
    size = sum(value.numel() for value in network(True).parameters())
    sent = {"supervised": [], "l2r": [size, 1], "ieg": [size, size, 1]}
    sent["ieg by trust"] = [*sent["ieg"], 1]
    for method, messages in sent.items():
        for end in rank_pool.run(2, train, method, True, "32-true", str(tmp_path)):
            assert end.messages == [messages] * STEPS
