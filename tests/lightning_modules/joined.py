"""What R ranks are to compute, in one process and without any of the machinery.

The joined batch is R groups. Statistics of a batch, the root mean square of its logits and mixup's
partners belong to a group; the look-ahead step, the probe loss, the weights and the update to all
of them. Derivatives by weights and label mixes are taken by differentiating one graph twice.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.losses import consistency, cross_entropy, guess_labels
from lightning_modules.mixup import MixupDraws, mix, mixup_losses

ALPHA, MU, EPSILON, P, K, LEARNING_RATE, MOMENTUM = 0.1, 0.9, 0.9, 5.0, 20.0, 0.1, 0.9

Theta = dict[str, Tensor]


class Group(NamedTuple):
    """What one rank sees in a step."""

    train: Views
    probe: Views
    draws: MixupDraws


class Joined:
    """A run on the joined batch.

    Args:
        net: whose parameters are moved.
        method: `supervised`, `l2r`, `ieg` or `ieg by trust`.
        decay: factor of ½ Σ w²; of kernels only, but for the meta loss.
    """

    def __init__(self, net: nn.Module, method: str, decay: float) -> None:
        self.net, self.method, self.decay = net, method, decay
        self.theta: Theta = dict(net.named_parameters())
        self.momentum = {name: torch.zeros_like(value) for name, value in self.theta.items()}
        self._averages = {name: value.detach().clone() for name, value in self.theta.items()}
        self.weights: list[Tensor] = []
        self.steps = 0

    def step(self, groups: list[Group]) -> None:
        """Take one step."""
        self.net(groups[0].train.weak)  # rank 0's running statistics are those of all
        loss: Callable[[list[Group]], Tensor] = getattr(self, f"_{self.method.replace(' ', '_')}")
        slopes = torch.autograd.grad(loss(groups), list(self.theta.values()))
        if not self.method.startswith("ieg"):
            self._average(self.steps)
        for (name, value), slope in zip(self.theta.items(), slopes, strict=True):
            self.momentum[name] = MOMENTUM * self.momentum[name] + slope
            value.data -= LEARNING_RATE * self.momentum[name]
        self.steps += 1
        if self.method.startswith("ieg"):
            self._average(self.steps)

    def _average(self, updates: int) -> None:
        kept = min(0.999, (1 + updates) / (10 + updates))
        for name, value in self.theta.items():
            self._averages[name] = kept * self._averages[name] + (1 - kept) * value.detach()

    def averaged(self) -> Theta:
        """Return the averaged parameters, and the running statistics of group 0."""
        return self._averages | dict(self.net.named_buffers())

    def _logits(self, theta: Theta, image: Tensor) -> Tensor:
        with batch_statistics_only(self.net):
            return functional_call(self.net, theta, (image,))

    def _penalty(self, theta: Theta, kernels_only: bool = True) -> Tensor:
        chosen = [v for v in theta.values() if v.ndim > 1 or not kernels_only]
        return self.decay / 2 * sum((value.square().sum() for value in chosen), torch.zeros(()))

    def _labels(self, views: Views) -> Tensor:
        return one_hot(views.label, 10).to(views.weak.dtype)

    def _supervised(self, groups: list[Group]) -> Tensor:
        costs = [
            cross_entropy(self._labels(train), self._logits(self.theta, train.weak))
            for train, *_ in groups
        ]
        return torch.cat(costs).mean() + self._penalty(self.theta)

    def _meta(self, groups: list[Group], inner: Tensor, momentum: float, wanted: Any) -> Any:
        """Return the probe loss's derivatives after a step down `inner`."""
        slopes = torch.autograd.grad(
            inner, list(self.theta.values()), create_graph=True, materialize_grads=True
        )
        ahead = {
            name: value - ALPHA * (momentum * self.momentum[name] + slope)
            for (name, value), slope in zip(self.theta.items(), slopes, strict=True)
        }
        probes = [(self._logits(ahead, probe.weak), probe) for _, probe, _ in groups]
        right = torch.cat([logits.argmax(dim=1) == probe.label for logits, probe in probes])
        self.accuracy = float(right.double().mean())
        costs = [cross_entropy(self._labels(probe), logits).mean() for logits, probe in probes]
        loss = sum(costs, torch.zeros(())) / len(groups) + self._penalty(ahead, False)
        return torch.autograd.grad(loss, wanted, materialize_grads=True)

    def _weigh(self, by_weight: Tensor) -> Tensor:
        helpful = (-by_weight).clamp(min=0)
        self.weights.append(helpful / (helpful.sum() + 1e-5))
        return self.weights[-1]

    def _l2r(self, groups: list[Group]) -> Tensor:
        costs = torch.cat(
            [
                cross_entropy(self._labels(train), self._logits(self.theta, train.weak))
                for train, *_ in groups
            ]
        )
        omega = torch.zeros_like(costs, requires_grad=True)
        penalty = self._penalty(self.theta)
        (by_weight,) = self._meta(groups, omega @ costs + penalty, 0.0, [omega])
        return self._weigh(by_weight) @ costs + penalty

    def _ieg_by_trust(self, groups: list[Group]) -> Tensor:
        return self._ieg(groups, by_trust=True)

    def _ieg(self, groups: list[Group], by_trust: bool = False) -> Tensor:
        given = torch.cat([self._labels(train) for train, *_ in groups])
        z = [self._logits(self.theta, train.weak) for train, *_ in groups]
        z_strong = [self._logits(self.theta, train.strong) for train, *_ in groups]
        guesses = [guess_labels(*both, 0.5) for both in zip(z, z_strong, strict=True)]
        guess, logits = torch.cat(guesses), torch.cat(z)
        if by_trust:
            guess = guess.detach()
        penalty = self._penalty(self.theta)

        size = len(given)
        omega = torch.full((size,), 1 / size, dtype=logits.dtype, requires_grad=True)
        epsilon = torch.full((size, 1), EPSILON, dtype=logits.dtype, requires_grad=True)
        inner = omega @ cross_entropy(epsilon * given + (1 - epsilon) * guess, logits) + penalty
        by_weight, by_mix = self._meta(groups, inner, MU, [omega, epsilon])
        weight, keep = self._weigh(by_weight), (by_mix < 0).to(logits.dtype)

        guess = guess.detach()
        share = max(0.0, (self.accuracy - 0.1) / 0.9) ** 2 if by_trust else 1.0
        loss_labels = cross_entropy(keep * given + (1 - keep) * guess, logits).mean()
        loss_weights = weight @ cross_entropy(EPSILON * given + (1 - EPSILON) * guess, logits)
        rest = penalty
        for group, own, weak, strong in zip(groups, guesses, z, z_strong, strict=True):
            mixed = mix(group.train, own.detach(), group.probe, group.draws)
            trusted, others = mixup_losses(self._logits(self.theta, mixed.image), mixed.label)
            unlike = consistency(weak, strong).mean()
            rest = rest + (trusted + share * (P * others + K * unlike)) / len(groups)
        return (loss_labels + loss_weights) / 2 + rest
