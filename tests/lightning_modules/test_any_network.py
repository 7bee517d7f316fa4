"""Networks of other kinds than the project's own: attention, dropout, and parts that are frozen."""

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from datamodules.batch import Batch, Step, Views
from lightning_modules.compiled import CompiledPasses
from lightning_modules.ieg import IEG
from lightning_modules.l2r import L2R
from lightning_modules.passes import Passes
from lightning_modules.schedules import Schedule
from lightning_modules.supervised import Supervised
from tests.lightning_modules.replay import fit
from tests.lightning_modules.test_many_ranks import needs_a_compiler

METHODS: dict[str, Any] = {"supervised": Supervised, "l2r": L2R, "ieg": IEG}
B, C, STEPS = 8, 5, 3


class Attention(nn.Module):
    """Four patches of a picture that look at one another."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, stride=4)
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.last = nn.Linear(16, C)

    def forward(self, image: Tensor) -> Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        return self.last(self.layer(tokens).mean(dim=1))


def frozen() -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(stem.requires_grad_(False), nn.Linear(32, C))


def dropping(share: float = 0.5) -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(stem, nn.Dropout(share), nn.Linear(32, C))


NETS = {"attention": Attention, "frozen": frozen, "dropout": dropping}


def steps() -> list[Step]:
    made = []
    for number in range(STEPS):
        generator = torch.Generator().manual_seed(number)
        image, probe = torch.randn(2, B, 3, 8, 8, generator=generator, dtype=torch.float64)
        label, clean = torch.randint(C, (2, B), generator=generator)
        empty = torch.empty(0)
        batch = Batch(empty, label, label, empty)
        made.append(Step(Views(image, image.flip(3), label), Views(probe, None, clean), batch))
    return made


def trained(net: nn.Module, method: str, folder: Any, **more: Any) -> dict[str, Tensor]:
    schedule = Schedule(learning_rate=0.1, steps_per_epoch=5, max_steps=STEPS)
    shared = {"num_classes": C, "schedule": schedule, "seed": 0, "weight_decay": 1e-3}
    callbacks = more.pop("callbacks", [])
    module = METHODS[method](net, **{**shared, **more})
    fit(module, steps(), precision="64-true", default_root_dir=folder, callbacks=callbacks)
    return {name: value.detach() for name, value in module.net.state_dict().items()}


@pytest.mark.parametrize("method", ["l2r", "ieg"])
@pytest.mark.parametrize("kind", NETS)
def test_both_engines_train_it_to_the_same_weights(kind: str, method: str, tmp_path: Any) -> None:
    torch.manual_seed(0)
    net = NETS[kind]().double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    ends = []
    for engine in ("forward_mode", "double_backward"):
        net.load_state_dict(before)
        ends.append(trained(net, method, tmp_path, meta_engine=engine))
    assert any(not torch.equal(value, before[name]) for name, value in ends[0].items())
    # both are exact but for float64's rounding, over three steps
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_frozen_stays(method: str, tmp_path: Any) -> None:
    net = frozen().double()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    after = trained(net, method, tmp_path)
    moved = [name for name, value in after.items() if not torch.equal(value, before[name])]
    assert moved == ["1.weight", "1.bias"]


class Disturbs(pl.Callback):
    """Draws from torch's own generator between steps, as a run that was begun anew has not."""

    def on_train_batch_start(self, *_: Any) -> None:
        torch.rand(7)


@pytest.mark.parametrize("compile", [False, pytest.param(True, marks=needs_a_compiler)])
@pytest.mark.parametrize("method", METHODS)
def test_dropout_is_a_function_of_the_step(method: str, compile: bool, tmp_path: Any) -> None:
    torch.manual_seed(0)
    before = dropping().double().state_dict()

    def end(share: float, **more: Any) -> dict[str, Tensor]:
        net = dropping(share).double()
        net.load_state_dict(before)
        return trained(net, method, tmp_path, compile=compile, **more)

    plain, disturbed = end(0.5), end(0.5, callbacks=[Disturbs()])
    for name, value in plain.items():
        assert torch.equal(value, disturbed[name])
    whole, another = end(0.0), end(0.5, seed=1)
    assert not torch.equal(plain["2.weight"], whole["2.weight"])
    assert not torch.equal(plain["2.weight"], another["2.weight"])


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=needs_a_compiler)])
def test_all_passes_of_a_step_drop_the_same(compiled: bool) -> None:
    net = dropping().double()
    passes = CompiledPasses(net) if compiled else Passes(net)
    theta = {name: value.detach() for name, value in net.named_parameters()}
    direction = {name: torch.randn_like(value) for name, value in theta.items()}
    image = torch.randn(B, 3, 8, 8, dtype=torch.float64)
    passes.seed = 3
    logits = passes.logits(None, image)
    primal, tangent = passes.jvp(theta, direction, image)
    # float64, whose last place is 2e-16; sums may be in another order
    torch.testing.assert_close(primal, logits, rtol=1e-12, atol=1e-12)
    step = 1e-6
    moved = [
        passes.logits({n: theta[n] + s * direction[n] for n in theta}, image) for s in (step, -step)
    ]
    # central differences: step², and rounding by the step
    torch.testing.assert_close(tangent, (moved[0] - moved[1]) / (2 * step), rtol=1e-7, atol=1e-8)
    passes.seed = 4
    assert not torch.equal(passes.logits(None, image), logits)
