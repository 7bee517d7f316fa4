"""A step that is recorded once and replayed is the step as it would be anew, bit for bit.

A tape stands for the CUDA graph (tests/lightning_modules/tape.py); with a GPU, the graph itself is
held to the same.
"""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from lightning_modules.base import NoisyLabelModule
from lightning_modules.ieg import IEG
from lightning_modules.l2r import L2R
from lightning_modules.recorded_step import WARM_UP_STEPS, CudaGraph, RecordedStep
from lightning_modules.schedules import Cosine
from lightning_modules.supervised import Supervised
from tests.lightning_modules.replay import fit
from tests.lightning_modules.tape import Tape
from tests.lightning_modules.test_many_ranks import network, share

STEPS = 9
METHODS: dict[str, tuple[type[NoisyLabelModule], dict[str, Any]]] = {
    "supervised": (Supervised, {"grad_clip": 0.5}),
    "l2r": (L2R, {"ema_order": "before"}),
    "ieg": (IEG, {}),
    "ieg, guess detached": (IEG, {"differentiable_guess": False}),
    "ieg by trust": (IEG, {"guess_trust": 2.0}),
    "ieg growing": (IEG, {"guess_rampup_epochs": 1.5}),
    "ieg, no mixup": (IEG, {"mixup_factor": 0.0, "relabel": False}),
    "ieg by double backward": (IEG, {"meta_engine": "double_backward"}),
}


class Watch(pl.Callback):
    """Keeps what callbacks are shown, without copying it, and the learning rates."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.rates: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
        self.shown.append(outputs["objective"])
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])


def trained(method: str, recorder: Any = None, **trainer: Any) -> tuple[Any, Watch]:
    kind, own = METHODS[method]
    schedule = Cosine(learning_rate=0.1, steps_per_epoch=5, max_steps=STEPS)
    module = kind(
        network(norm=True), num_classes=10, schedule=schedule, seed=1, weight_decay=1e-3, **own
    )
    if recorder is not None:
        parameters = module.net.parameters()
        module.recorded_step = RecordedStep(module.forward_backward, parameters, recorder)
    watch = Watch()
    steps = [share(step, 0, 1, torch.float32) for step in range(STEPS)]
    fit(module, steps, callbacks=[watch], **trainer)
    return module, watch


def everything(module: NoisyLabelModule, watch: Watch) -> dict[str, Tensor]:
    found: dict[str, Tensor] = dict(module.state_dict())
    momentum = module.momentum_buffers()
    assert momentum is not None
    found |= {f"momentum.{name}": value for name, value in momentum.items()}
    for number, objective in enumerate(watch.shown):
        parts: list[Tensor] = []
        apply_to_collection(objective, Tensor, parts.append)
        found |= {f"step {number}, part {place}": one for place, one in enumerate(parts)}
    return found


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert torch.equal(value, theirs[name]), name


@pytest.mark.parametrize("method", METHODS)
def test_a_replayed_step_equals_the_plain_step(method: str, tmp_path: Any) -> None:
    tapes: list[Tape] = []

    def tape() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    plain, seen = trained(method, default_root_dir=tmp_path)
    module, watch = trained(method, tape, default_root_dir=tmp_path)
    assert_equal(everything(module, watch), everything(plain, seen))
    assert watch.rates == seen.rates
    assert len(set(watch.rates)) == STEPS  # not recorded
    (used,) = tapes
    assert module.recorded_step is None  # which would keep its memory
    assert (used.warmed_up, used.replays) == (WARM_UP_STEPS, STEPS - WARM_UP_STEPS)


def test_what_changes_in_python_is_replayed_as_it_was(tmp_path: Any) -> None:
    """So that the tests above could fail."""

    class Growing(Supervised):
        def objective(self, *given: Any) -> Any:
            found = super().objective(*given)
            return found._replace(loss=found.loss * (1 + self.global_step))

    METHODS["growing"] = (Growing, {})
    try:
        plain, module = (trained("growing", how, default_root_dir=tmp_path) for how in (None, Tape))
    finally:
        del METHODS["growing"]
    losses = [[float(one.loss) for one in watch.shown] for _, watch in (plain, module)]
    assert losses[0][: WARM_UP_STEPS + 1] == losses[1][: WARM_UP_STEPS + 1]
    assert losses[0][WARM_UP_STEPS + 1 :] != losses[1][WARM_UP_STEPS + 1 :]


def test_a_recording_does_nothing_until_it_is_replayed() -> None:
    layer = nn.Linear(2, 1)

    def work(image: Tensor) -> Any:
        layer.zero_grad()
        layer(image).sum().backward()
        with torch.no_grad():
            layer.bias.add_(1)
        return layer.bias.detach().clone()

    recorded_step = RecordedStep(work, layer.parameters(), Tape)
    start, image = float(layer.bias), torch.ones(3, 2)
    for number in range(WARM_UP_STEPS + 3):
        found: Any = recorded_step(image * number)
        assert float(found) == pytest.approx(start + number + 1)
        assert layer.weight.grad is not None
        assert layer.weight.grad.tolist() == [[3.0 * number, 3.0 * number]]
        layer.zero_grad()  # as an optimiser may


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", METHODS)
def test_a_cuda_graph_equals_the_plain_step(method: str, tmp_path: Any) -> None:
    """In float64: a GPU may add up in another order, and in float32 that may flip a decision."""
    on_gpu = {"accelerator": "gpu", "devices": 1, "precision": "64-true"}
    plain, module = (
        everything(*trained(method, how, default_root_dir=tmp_path, **on_gpu))
        for how in (None, CudaGraph)
    )
    assert plain.keys() == module.keys()
    for name, value in module.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-9, atol=1e-9)
