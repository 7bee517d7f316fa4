"""What each method's objective is made of, checked on a small network without a Trainer."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from datamodules.batch import Views
from lightning_modules import meta_step
from lightning_modules.base import NoisyLabelModule
from lightning_modules.ieg import IEG
from lightning_modules.l2r import L2R
from lightning_modules.meta_gradient import MetaGradient, meta_gradient
from lightning_modules.schedules import Schedule
from lightning_modules.supervised import Supervised

B, C = 12, 10
METHODS = {"supervised": Supervised, "l2r": L2R, "ieg": IEG}


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, C),
    ).double()


def module_of(method: str, **settings: Any) -> NoisyLabelModule:
    torch.manual_seed(5)
    schedule = Schedule(learning_rate=0.1, steps_per_epoch=10, max_steps=10)
    shared: dict[str, Any] = {"num_classes": C, "schedule": schedule, "seed": 0}
    module = METHODS[method](network(), weight_decay=1e-3, **shared, **settings)
    module.momentum_buffers = lambda: None  # type: ignore[method-assign]
    return module


def batch(strong: bool, seed: int) -> Views:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(B, 3, 8, 8, generator=generator, dtype=torch.float64)
    label = torch.randint(C, (B,), generator=generator)
    return Views(image, image.flip(3) * 0.9 if strong else None, label)


def objective_of(module: NoisyLabelModule) -> Any:
    train, probe = batch(True, 1), batch(False, 2)
    return module.objective(
        train, probe, module.draw(torch.Generator().manual_seed(3), train, probe)
    )


def statistics(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.named_buffers()}


@pytest.mark.parametrize("method", METHODS)
def test_running_statistics_move_by_the_weak_pass_alone(method: str) -> None:
    module = module_of(method)
    objective_of(module)
    alone = network()
    alone.load_state_dict({**module.net.state_dict(), **statistics(network())})
    alone(batch(True, 1).weak)
    for name, value in statistics(module.net).items():
        torch.testing.assert_close(value, alone.get_buffer(name))
    assert module.net[1].num_batches_tracked == 1  # type: ignore[index]


def test_supervised_is_the_mean_cross_entropy_plus_decay_of_kernels() -> None:
    module = module_of("supervised")
    objective = objective_of(module)
    kernels = [module.net[0].weight, module.net[5].weight]  # type: ignore[index]
    decay = 1e-3 / 2 * sum(weight.square().sum().item() for weight in kernels)
    expected = cross_entropy(objective.logits, batch(True, 1).label).item() + decay
    assert objective.loss.item() == pytest.approx(expected, rel=1e-12)


def test_decay_of_all_takes_in_scales_and_biases() -> None:
    kernels, everything = (module_of("supervised", decayed=which) for which in ("kernels", "all"))
    theta = everything.theta()
    assert everything.penalty(theta).item() == everything.full_penalty(theta).item()
    assert kernels.penalty(theta).item() < everything.penalty(theta).item()


@pytest.mark.parametrize("method", ["l2r", "ieg"])
def test_weights_are_the_helpful_part_of_the_meta_gradient(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def watched(*args: Any, **kwargs: Any) -> MetaGradient:
        found.append(meta_gradient(*args, **kwargs))
        return found[-1]

    monkeypatch.setattr(meta_step, "meta_gradient", watched)
    objective = objective_of(module_of(method))
    helpful = (-found[0].example_weight_gradient).clamp(min=0)
    assert 0 < (helpful > 0).sum() < B
    torch.testing.assert_close(objective.example_weight, helpful / (helpful.sum() + 1e-5))
    assert 0.9 < objective.example_weight.sum() < 1
    assert not objective.example_weight.requires_grad


def test_a_wrong_label_gets_no_weight_where_the_answer_is_known() -> None:
    """Two classes, a linear network, and the probe's own image under both labels.

    A step on the wrong label moves along minus the probe's own gradient, so it can only harm.
    """
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    schedule = Schedule(learning_rate=0.1, steps_per_epoch=10, max_steps=10)
    module = L2R(net, num_classes=2, schedule=schedule, seed=0, weight_decay=0.0)
    image = torch.randn(1, 3, 2, 2, dtype=torch.float64)
    probe = Views(image, None, torch.tensor([1]))
    train = Views(image.expand(3, -1, -1, -1), None, torch.tensor([0, 1, 0]))
    weight = module.objective(train, probe, None).example_weight
    assert weight.tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-2)
    assert weight[0] == weight[2] == 0.0


@pytest.mark.parametrize("engine", ["forward_mode", "double_backward"])
@pytest.mark.parametrize("differentiable", [True, False])
def test_both_engines_descend_the_same_loss(engine: str, differentiable: bool) -> None:
    reference = module_of("ieg", differentiable_guess=differentiable)
    other = module_of("ieg", differentiable_guess=differentiable, meta_engine=engine)
    losses = [objective_of(module).loss for module in (reference, other)]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-12, atol=0)
    slopes = [
        torch.autograd.grad(loss, list(module.net.parameters()))
        for loss, module in zip(losses, (reference, other), strict=True)
    ]
    for ours, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_ieg_keeps_a_label_or_takes_the_guess() -> None:
    objective = objective_of(module_of("ieg"))
    assert set(objective.label_mix.tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(objective.pseudo_label.sum(dim=1), torch.ones(B).double())


def test_iegs_factors_scale_their_terms() -> None:
    one, other = (
        objective_of(module_of("ieg", ce_factor=p, consistency_factor=k)).terms
        for p, k in ((0.0, 1.0), (2.0, 3.0))
    )
    assert other["train/loss_consistency"] == pytest.approx(
        3 * one["train/loss_consistency"].item()
    )
    assert other["train/loss_mixup"] > one["train/loss_mixup"]


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (5, 0.25), (20, 1.0), (70, 1.0)])
def test_factors_of_the_guesses_grow_over_the_first_epochs(
    step: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(IEG, "global_step", step)
    growing = objective_of(module_of("ieg", guess_rampup_epochs=2.0))  # of 10 steps
    factors = {"ce_factor": 5.0 * share, "consistency_factor": 20.0 * share}
    expected = objective_of(module_of("ieg", **factors))
    # float64: only the order of two products differs
    torch.testing.assert_close(growing.loss, expected.loss, rtol=1e-12, atol=0)
    for name in ("train/loss_mixup", "train/loss_consistency"):
        torch.testing.assert_close(growing.terms[name], expected.terms[name])


@pytest.mark.parametrize("wrong", [0, 3, B - 1, B])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_guesses_count_by_the_probes_accuracy(
    wrong: int, power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 12 probe examples 12, 9, 1 and 0 are right; of ten classes one in ten is by chance."""

    def found(**settings: Any) -> Any:
        module = module_of("ieg", **settings)
        meta = module.meta_step  # type: ignore[operator]

        def patched_meta_step(
            penalty: Any, images: Any, label_losses_fn: Any, probe: Views, *others: Any
        ) -> Any:
            logits = torch.nn.functional.one_hot(probe.label, C).double()
            logits[:wrong] = logits[:wrong].roll(1, 1)
            return meta(penalty, images, label_losses_fn, probe, *others)._replace(
                probe_logits=logits
            )

        monkeypatch.setattr(module, "meta_step", patched_meta_step)
        return objective_of(module)

    share = max(0.0, ((B - wrong) / B - 0.1) / 0.9) ** power
    ours = found(guess_trust=power)
    expected = found(ce_factor=5.0 * share, consistency_factor=20.0 * share)
    assert ours.terms["meta/acc"].item() == pytest.approx((B - wrong) / B)
    # float64: only the order of two products differs
    torch.testing.assert_close(ours.loss, expected.loss, rtol=1e-12, atol=0)
    for name in ("train/loss_mixup", "train/loss_consistency"):
        torch.testing.assert_close(ours.terms[name], expected.terms[name])


TERMS = ("label_mix", "weighted", "mixup", "consistency")


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        ({}, (0.5, 0.5, 1, 1)),
        ({"relabel": False}, (None, 1, 1, 1)),
        ({"mixup_factor": 0.0}, (0.5, 0.5, None, 1)),
        ({"mixup_factor": 0.25, "consistency_factor": 0.0}, (0.5, 0.5, 0.25, 1)),
        ({"relabel": False, "mixup_factor": 0, "consistency_factor": 0}, (None, 1, None, 1)),
    ],
)
def test_what_the_ablation_leaves_of_the_loss(settings: dict[str, Any], factors: Any) -> None:
    module = module_of("ieg", **settings)
    objective = objective_of(module)
    names = [f"train/loss_{name}" for name in TERMS]
    assert [name in objective.terms for name in names] == [one is not None for one in factors]
    expected = module.penalty(module.theta()).item() + sum(
        factor * objective.terms[name].item()
        for name, factor in zip(names, factors, strict=True)
        if factor is not None
    )
    assert objective.loss.item() == pytest.approx(expected, rel=1e-12)
    slopes = torch.autograd.grad(objective.loss, list(module.net.parameters()))
    assert all(slope.isfinite().all() for slope in slopes)


@pytest.mark.parametrize("engine", ["forward_mode", "double_backward"])
def test_without_relabelling_ieg_weighs_given_labels_alone(engine: str) -> None:
    module = module_of("ieg", relabel=False, meta_engine=engine)
    objective = objective_of(module)
    assert objective.label_mix is None
    given = cross_entropy(objective.logits, batch(True, 1).label, reduction="none")
    expected = objective.example_weight @ given
    assert objective.terms["train/loss_weighted"].item() == pytest.approx(expected.item())
    # the step looked ahead to: plain gradient descent on the mean loss of given labels
    theta = {name: value.detach().clone() for name, value in module.net.named_parameters()}
    by_weight = module_of("l2r")  # for its network, which is as this one was
    weight = torch.full((B,), 1 / B, dtype=torch.float64, requires_grad=True)

    def logits(at: dict[str, Tensor], image: Tensor) -> Tensor:
        return torch.func.functional_call(by_weight.net.train(), at, (image,))

    at = {name: value.requires_grad_() for name, value in theta.items()}
    losses = cross_entropy(logits(at, batch(True, 1).weak), batch(True, 1).label, reduction="none")
    inner = weight @ losses + module.penalty(at)
    slopes = torch.autograd.grad(inner, list(at.values()), create_graph=True)
    ahead = {name: at[name] - 0.1 * slope for name, slope in zip(at, slopes, strict=True)}
    probe = batch(False, 2)
    loss = cross_entropy(logits(ahead, probe.weak), probe.label)
    (slope,) = torch.autograd.grad(loss + module.full_penalty(ahead), weight)
    helpful = (-slope).clamp(min=0)
    torch.testing.assert_close(objective.example_weight, helpful / (helpful.sum() + 1e-5))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"guess_rampup_epochs": -1}, "method.guess_rampup_epochs=-1 is not possible"),
        ({"guess_trust": -1}, "method.guess_trust=-1 is not possible"),
        ({"mixup_factor": -1}, "method.mixup_factor=-1 is not possible"),
        ({"mixup_share": "half"}, "method.mixup_share=half is not known"),
        ({"meta_engine": "magic"}, "meta.engine"),
        ({"meta_scope": "world"}, "meta.scope"),
        ({"decayed": "some"}, "model.decayed"),
        ({"ema_order": "never"}, "method.ema_order"),
        ({"temperature": 0.0}, "method.temperature=0.0 is not possible: give from 0.01 to 1"),
        ({"initial_label_mix": 1.5}, "method.initial_label_mix"),
        ({"ce_factor": -1.0}, "method.ce_factor=-1.0 is not possible: give 0 or more"),
        ({"meta_step_size": float("nan")}, "method.meta_step_size"),
        ({"meta_step_size": 0}, "method.meta_step_size=0 is not possible: give a number above 0"),
        ({"ce_factor": "abc"}, "method.ce_factor=abc is not possible: give 0 or more"),
        ({"grad_clip": -1.0}, "method.grad_clip=-1.0 is not possible"),
    ],
)
def test_impossible_values_are_named(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        module_of("ieg", **settings)
