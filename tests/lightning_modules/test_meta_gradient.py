"""The meta-step against two oracles in float64: one graph differentiated twice, and differences.

Neither oracle uses the linearity that `meta_gradient` rests on: θ' is built as a function of the
weights and label mixes, and the probe loss at θ' is differentiated, or evaluated, as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.losses import cross_entropy, guess_labels, l2_penalty
from lightning_modules.meta_gradient import (
    ENGINES,
    LabelLosses,
    LabelLossesFn,
    LookAhead,
    MetaGradient,
    meta_gradient,
)
from lightning_modules.passes import Params, Passes

B, C = 7, 4
ALPHA, MU, MIX = 0.3, 0.9, 0.9


class Problem(NamedTuple):
    net: nn.Module
    momentum: dict[str, Tensor]
    passes: Passes
    images: list[Tensor]
    label_losses_fn: LabelLossesFn
    penalty: Callable[[Params], Tensor]
    probe_loss_fn: Callable[[Params], tuple[Tensor, Tensor]]

    @property
    def theta(self) -> dict[str, Tensor]:
        return dict(self.net.named_parameters())

    def label_losses(self, theta: Params) -> LabelLosses:
        """Return them by torch's own means."""
        with batch_statistics_only(self.net):
            logits = [functional_call(self.net, dict(theta), (image,)) for image in self.images]
        return self.label_losses_fn(*logits)


@pytest.fixture(params=["no guess", "guess", "constant guess"])
def problem(request: pytest.FixtureRequest) -> Problem:
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1, bias=False),
        nn.BatchNorm2d(5),
        nn.Tanh(),
        nn.Conv2d(5, 6, 3, stride=2),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, C),
    ).double()
    weak, strong, trusted = torch.randn(3, B, 3, 6, 6, dtype=torch.float64)
    given = one_hot(torch.arange(B) % C, C)
    target = one_hot(torch.arange(B).flip(0) % C, C)

    def logits(theta: Params, image: Tensor) -> Tensor:
        with batch_statistics_only(net):
            return functional_call(net, dict(theta), (image,))

    with torch.no_grad():
        now = dict(net.named_parameters())
        constant = guess_labels(logits(now, weak), logits(now, strong), 0.5)

    def label_losses_fn(z: Tensor, z_strong: Tensor | None = None) -> LabelLosses:
        if request.param == "no guess":
            return LabelLosses(cross_entropy(given, z))
        guess = constant if z_strong is None else guess_labels(z, z_strong, 0.5)
        return LabelLosses(cross_entropy(given, z), cross_entropy(guess, z))

    images = [weak, strong] if request.param == "guess" else [weak]

    def penalty(theta: Params) -> Tensor:
        return l2_penalty((value for value in theta.values() if value.ndim > 1), 1e-2)

    def probe_loss_fn(theta: Params) -> tuple[Tensor, Tensor]:
        z = logits(theta, trusted)
        return cross_entropy(target, z).mean() + l2_penalty(theta.values(), 1e-2), z

    momentum = {name: torch.randn_like(value) for name, value in net.named_parameters()}
    return Problem(net, momentum, Passes(net), images, label_losses_fn, penalty, probe_loss_fn)


def probe_loss_ahead(problem: Problem, weight: Tensor, mix: Tensor, momentum: bool) -> Tensor:
    """Return M(θ'(ω, ε)) by its definition, as one graph."""
    theta = problem.theta
    inner = weight @ problem.label_losses(theta).mixed(mix) + problem.penalty(theta)
    slopes = torch.autograd.grad(
        inner, list(theta.values()), create_graph=True, materialize_grads=True
    )
    ahead = {
        name: value
        - ALPHA * (slope + (MU * problem.momentum[name] if momentum else torch.zeros_like(value)))
        for (name, value), slope in zip(theta.items(), slopes, strict=True)
    }
    return problem.probe_loss_fn(ahead)[0]


def ours(
    problem: Problem, engine: str, weight: float, momentum: bool, given: bool = True
) -> MetaGradient:
    theta, passes = problem.theta, problem.passes
    with batch_statistics_only(problem.net):
        return meta_gradient(
            theta,
            problem.penalty(theta),
            passes=passes,
            images=problem.images,
            label_losses_fn=problem.label_losses_fn,
            logits=[passes.logits(theta, image) for image in problem.images] if given else None,
            probe_loss_fn=problem.probe_loss_fn,
            look_ahead=LookAhead(ALPHA, MU, weight, MIX),
            momentum=problem.momentum if momentum else None,
            engine=engine,
        )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weight", [0.0, 1 / B])
@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("given", [True, False], ids=["losses given", "losses made"])
def test_equals_double_backward(
    problem: Problem, engine: str, weight: float, momentum: bool, given: bool
) -> None:
    found = ours(problem, engine, weight, momentum, given)

    omega = torch.full((B,), weight, dtype=torch.float64, requires_grad=True)
    mix = torch.full((B,), MIX, dtype=torch.float64, requires_grad=True)
    loss = probe_loss_ahead(problem, omega, mix, momentum)
    by_weight, by_mix = torch.autograd.grad(loss, [omega, mix], materialize_grads=True)

    torch.testing.assert_close(found.probe_loss, loss.detach(), rtol=1e-12, atol=0)
    scale = by_weight.abs().max().item()
    assert scale > 1e-4  # not a comparison of zeros
    torch.testing.assert_close(found.example_weight_gradient, by_weight, rtol=0, atol=1e-12 * scale)
    if found.label_mix_gradient is None:
        assert not by_mix.any()
    else:
        torch.testing.assert_close(found.label_mix_gradient, by_mix, rtol=0, atol=1e-12 * scale)
        assert bool(by_mix.any()) == (weight > 0)


@pytest.mark.parametrize("weight", [0.0, 1 / B])
def test_equals_finite_differences(problem: Problem, weight: float) -> None:
    found = ours(problem, "forward_mode", weight, momentum=True)
    step = 1e-5
    for i in (0, 3, 6):
        unit = torch.zeros(B, dtype=torch.float64)
        unit[i] = step
        omega = torch.full((B,), weight, dtype=torch.float64)
        mix = torch.full((B,), MIX, dtype=torch.float64)

        def difference(plus: Tensor, minus: Tensor) -> float:
            return float(plus.detach() - minus.detach()) / (2 * step)

        by_weight = difference(
            probe_loss_ahead(problem, omega + unit, mix, True),
            probe_loss_ahead(problem, omega - unit, mix, True),
        )
        assert found.example_weight_gradient[i].item() == pytest.approx(
            by_weight, rel=1e-5, abs=1e-8
        )
        if found.label_mix_gradient is not None:
            by_mix = difference(
                probe_loss_ahead(problem, omega, mix + unit, True),
                probe_loss_ahead(problem, omega, mix - unit, True),
            )
            assert found.label_mix_gradient[i].item() == pytest.approx(by_mix, rel=1e-5, abs=1e-8)


def test_keeps_no_graph_and_moves_no_statistics(problem: Problem) -> None:
    before = {name: value.clone() for name, value in problem.net.state_dict().items()}
    found = ours(problem, "forward_mode", 1 / B, momentum=True)
    assert not found.example_weight_gradient.requires_grad
    assert not found.probe_loss.requires_grad
    assert all(value.grad is None for value in problem.net.parameters())
    after = problem.net.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_refuses_inference_mode(problem: Problem) -> None:
    """Tangents vanish silently there; a zero meta-gradient would look like a bad batch."""
    theta = problem.theta
    with torch.inference_mode(), pytest.raises(RuntimeError):
        meta_gradient(
            theta,
            problem.penalty(theta),
            passes=problem.passes,
            images=problem.images,
            label_losses_fn=problem.label_losses_fn,
            probe_loss_fn=problem.probe_loss_fn,
            look_ahead=LookAhead(ALPHA),
        )
    direction = {name: torch.ones_like(value) for name, value in theta.items()}
    with torch.inference_mode(), pytest.raises(RuntimeError, match="cannot run in inference mode"):
        problem.passes.jvp(theta, direction, problem.images[0])
