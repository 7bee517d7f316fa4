"""One step of L2R by the public tools of `torch.func`, for `benchmarks/step_cost.py`.

Each is written as the documentation suggests, on the project's network, with the same loss and
descent. The first two compute the same numbers as the project. Per-example gradients by `vmap`
cannot: with BatchNorm, an example's loss depends on its whole batch, so there the network uses its
running statistics, which makes it another function.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.functional import cross_entropy

from datamodules.batch import Views
from lightning_modules.batch_norm import batch_statistics_only

Weigh = Callable[[Any, Views, Views], Tensor]  # returns −∂M/∂ω, (B,)
Parameters = dict[str, Tensor]


def _detached(module: Any) -> Parameters:
    return {name: value.detach() for name, value in module.theta().items()}


def _probe_loss(module: Any, theta: Parameters, probe: Views) -> Tensor:
    logits = functional_call(module.net, theta, (probe.weak,))
    return cross_entropy(logits, probe.label) + module.full_penalty(theta)


def _gradient_after_look_ahead(module: Any, probe: Views) -> tuple[Parameters, Parameters]:
    """Return θ, and the probe loss's gradient after a look-ahead step of weight decay alone."""
    theta = _detached(module)
    slope = grad(module.penalty)(theta)
    ahead = {name: theta[name] - module.meta_step_size * slope[name] for name in theta}
    return theta, grad(lambda theta: _probe_loss(module, theta, probe))(ahead)


def by_grad_of_grad(module: Any, train: Views, probe: Views) -> Tensor:
    """As the paper writes it: differentiate through the gradient of the look-ahead step."""
    theta = _detached(module)

    def inner(theta: Parameters, weight: Tensor) -> Tensor:
        logits = functional_call(module.net, theta, (train.weak,))
        losses = cross_entropy(logits, train.label, reduction="none")
        return weight @ losses + module.penalty(theta)

    def after(weight: Tensor) -> Tensor:
        slope = grad(inner)(theta, weight)
        ahead = {name: theta[name] - module.meta_step_size * slope[name] for name in theta}
        return _probe_loss(module, ahead, probe)

    return -grad(after)(torch.zeros(len(train.label), device=train.weak.device))


def by_jvp(module: Any, train: Views, probe: Views) -> Tensor:
    """One forward-mode pass along the probe loss's gradient."""
    theta, v = _gradient_after_look_ahead(module, probe)

    def losses(theta: Parameters) -> Tensor:
        logits = functional_call(module.net, theta, (train.weak,))
        return cross_entropy(logits, train.label, reduction="none")

    with torch.no_grad():
        return module.meta_step_size * jvp(losses, (theta,), (v,))[1]


def by_per_example_gradients(module: Any, train: Views, probe: Views) -> Tensor:
    """Each example's gradient times the probe loss's; BatchNorm uses its running statistics."""
    module.net.eval()
    theta, v = _gradient_after_look_ahead(module, probe)
    buffers = dict(module.net.named_buffers())

    def loss(theta: Parameters, image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(module.net, (theta, buffers), (image[None],))
        return cross_entropy(logits, label[None])

    slopes = vmap(grad(loss), in_dims=(None, 0, 0))(theta, train.weak, train.label)
    module.net.train()
    products = [(slopes[name] * v[name]).flatten(1).sum(1) for name in theta]
    return module.meta_step_size * torch.stack(products).sum(0)


def _step(weigh: Weigh) -> Callable[[Any, Views, Views], Callable[[], None]]:
    def prepare(module: Any, train: Views, probe: Views) -> Callable[[], None]:
        def step() -> None:
            with batch_statistics_only(module.net):
                helpful = weigh(module, train, probe).clamp(min=0)
            weight = helpful / (helpful.sum() + 1e-5)
            losses = cross_entropy(module.net(train.weak), train.label, reduction="none")
            module.net.zero_grad()
            (weight @ losses + module.penalty(module.theta())).backward()
            module.sgd_step()

        return step

    return prepare


PUBLIC = {
    "l2r torch.func grad of grad": _step(by_grad_of_grad),
    "l2r torch.func jvp": _step(by_jvp),
    "l2r vmap of grad (not the same)": _step(by_per_example_gradients),
}
