"""The switches of `speed` change no more than rounding, and reach what they are for."""

from collections import Counter
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.base import NoisyLabelModule
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.compiled import CompiledPasses
from lightning_modules.ieg import IEG
from lightning_modules.passes import Passes
from lightning_modules.schedules import Schedule
from runs.build import build_data, build_module, build_schedule
from tests.compose import settings
from tests.lightning_modules.replay import fit
from tests.lightning_modules.test_many_ranks import METHODS, needs_a_compiler, network, share

STEPS = 4


def trained(method: str, net: nn.Module, **more: Any) -> NoisyLabelModule:
    """Train in float64 on a network without kinks."""
    kind, own = METHODS[method]
    schedule = Schedule(learning_rate=0.1, steps_per_epoch=5, max_steps=STEPS)
    module = kind(
        net, num_classes=10, schedule=schedule, seed=1, weight_decay=1e-3, **{**own, **more}
    )
    fit(module, [share(step, 0, 1, torch.float64) for step in range(STEPS)], precision="64-true")
    return module


def state(module: NoisyLabelModule) -> dict[str, Tensor]:
    buffers = module.momentum_buffers()
    assert buffers is not None
    momentum = {f"momentum.{name}": value for name, value in buffers.items()}
    return {**module.state_dict(), **momentum}


def assert_same(ours: NoisyLabelModule, theirs: NoisyLabelModule) -> None:
    expected = state(theirs)
    assert state(ours).keys() == expected.keys()
    for name, value in state(ours).items():
        # float64, four steps of sums in another order
        torch.testing.assert_close(value, expected[name], rtol=1e-11, atol=1e-12)


@needs_a_compiler
@pytest.mark.parametrize("method", METHODS)
def test_compiled_passes_change_nothing_but_rounding(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = trained(method, network(norm=True))
    passes = Counter[str]()
    real = torch.compile

    def counting(function: Any, **how: Any) -> Any:
        compiled = real(function, **how)

        def call(*given: Any) -> Any:
            passes[function.__name__] += 1
            return compiled(*given)

        return call

    monkeypatch.setattr(torch, "compile", counting)
    monkeypatch.setattr(Passes, "logits", mock.Mock(side_effect=AssertionError))
    monkeypatch.setattr(Passes, "jvp", mock.Mock(side_effect=AssertionError))
    assert_same(trained(method, network(norm=True), compile=True), plain)
    counts = {"supervised": (1, 0), "l2r": (2, 1), "ieg": (4, 2), "ieg by trust": (4, 1)}
    plain_passes, jvps = counts[method]
    assert passes == Counter(logits=plain_passes * STEPS, jvp=jvps * STEPS) - Counter()


@needs_a_compiler
def test_what_cannot_be_compiled_whole_is_refused() -> None:
    class Broken(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) if x.sum() > 0 else x[:, :2]

    with pytest.raises(torch._dynamo.exc.Unsupported):
        CompiledPasses(Broken(3, 2)).logits(None, torch.ones(4, 3))


@needs_a_compiler
def test_compiled_derivatives_are_as_exact_as_float32_allows() -> None:
    """Of a network without kinks, which rounding could fall on either side of."""
    torch.manual_seed(2)
    net = network(norm=True)
    image = torch.randn(50, 3, 8, 8) + 3
    theta = {name: value.detach() for name, value in net.named_parameters()}
    direction = {name: torch.randn_like(value) for name, value in theta.items()}
    with batch_statistics_only(net):
        found = CompiledPasses(net).jvp(theta, direction, image)
        exactly = [{n: v.double() for n, v in part.items()} for part in (theta, direction)]
        exact = Passes(net.double()).jvp(*exactly, image.double())
    for ours, theirs in zip(found, exact, strict=True):
        # float32's last place is 6e-8; found 1.6e-6 and 2.5e-6 here, uncompiled 3e-7
        assert (ours - theirs).norm() / theirs.norm() < 5e-6


@pytest.mark.parametrize("method", METHODS)
def test_channels_last_changes_nothing_but_rounding(method: str) -> None:
    plain = trained(method, network(norm=True))
    layouts: set[bool] = set()
    net = network(norm=True).to(memory_format=torch.channels_last)

    def note(_module: Any, _inputs: Any, out: Tensor) -> None:
        layouts.add(out.is_contiguous(memory_format=torch.channels_last))

    net[1].register_forward_hook(note)  # type: ignore[operator]
    assert_same(trained(method, net), plain)
    assert layouts == {True}  # the meta-step's passes too


def test_the_jobs_of_a_sweep_do_not_use_up_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a limit torch goes on uncompiled, and says so only once."""
    met: list[int] = []

    def backend(graph: Any, _: Any) -> Any:
        met.append(len(met))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    for size in range(1, 13):
        for value in (1.0, 2.0):  # two jobs of the same shapes share what is compiled
            job = CompiledPasses(nn.Linear(size, 2)).logits
            theta = {"weight": torch.ones(2, size), "bias": torch.zeros(2)}
            assert job(theta, torch.full((4, size), value)).tolist() == [[value * size] * 2] * 4
            assert len(met) == size


@pytest.mark.parametrize("method", ["l2r", "ieg"])
def test_bfloat16_does_not_reach_what_the_probe_says(method: str) -> None:
    def objective_of(precision: torch.dtype, **settings: Any) -> Any:
        kind, own = METHODS[method]
        schedule = Schedule(learning_rate=0.1, steps_per_epoch=5, max_steps=STEPS)
        module = kind(
            network(norm=True), num_classes=10, schedule=schedule, seed=1, weight_decay=1e-3,
            **{**own, **settings},
        )  # fmt: skip
        module.momentum_buffers = lambda: None  # type: ignore[method-assign]
        step = share(0, 0, 1, torch.float32)
        draws = module.draw(torch.Generator().manual_seed(3), step.train, step.probe)
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            return module.objective(step.train, step.probe, draws)

    exact = objective_of(torch.float32)
    mixed = objective_of(torch.bfloat16)
    assert torch.equal(mixed.example_weight, exact.example_weight)
    if method == "ieg":
        assert torch.equal(mixed.label_mix, exact.label_mix)
    assert mixed.loss != exact.loss  # the rest is in bfloat16
    everywhere = objective_of(torch.bfloat16, meta_float32=False)
    # a bfloat16's last place is 4e-3: else the switch would do nothing
    assert not torch.allclose(everywhere.example_weight, exact.example_weight, rtol=1e-3)


def module_of(*overrides: str) -> NoisyLabelModule:
    made = settings("method=ieg", *overrides)
    data = build_data(made)
    return build_module(made, data, build_schedule(made, data)[0])


def test_switches_are_off_and_arrive() -> None:
    plain = module_of()
    assert type(plain.passes) is Passes
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    for convolution in kernels(plain):
        assert convolution.is_contiguous()

    fast = module_of("speed.compile=true", "speed.channels_last=true", "speed.tf32=true")
    try:
        assert isinstance(fast.passes, CompiledPasses)
        assert torch.backends.cudnn.allow_tf32
        assert torch.get_float32_matmul_precision() == "high"
        for convolution in kernels(fast):  # of both networks
            assert convolution.is_contiguous(memory_format=torch.channels_last)
        for mine, theirs in zip(fast.parameters(), plain.parameters(), strict=True):
            assert torch.equal(mine, theirs)
    finally:
        module_of()
    assert not torch.backends.cudnn.allow_tf32  # the next job of a sweep


def kernels(module: NoisyLabelModule) -> list[Tensor]:
    found = [value for value in module.parameters() if value.ndim == 4 and value.shape[2] > 1]
    assert found
    return found


def test_what_is_differentiated_twice_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"speed\.compile=true .* meta\.engine=forward_mode"):
        module_of("speed.compile=true", "meta.engine=double_backward")
    assert isinstance(module_of("meta.engine=double_backward"), IEG)
