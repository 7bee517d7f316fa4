"""The meta-gradient: the derivatives of the probe loss by example weights and label mixes.

For a noisy batch with example weights ω and label mixes ε, take one look-ahead step of gradient
descent on the weighted loss J, with step size α and the fraction μ of the momentum m:

    J(θ; ω, ε) = Σ_i ω_i [ ε_i CE(y_i, z_i) + (1 − ε_i) CE(G_i, z_i) ] + reg(θ)
    θ'         = θ − α ( μ m + ∇_θ J )

The loss M(θ') of the trusted probe batch is then differentiated with respect to ω and ε. This is
IEG's meta-step; L2R (Ren et al. 2018, Eq. 5 to 7) is the case ω = 0, ε = 1, μ = 0.

J is linear in ω and in ε. Let v = ∇_θ' M(θ'), and let D[·] be the derivative at θ along v. Then

    ∂M/∂ω_i = −α D[ ε_i CE(y_i, z_i) + (1 − ε_i) CE(G_i, z_i) ]
    ∂M/∂ε_i = −α ω_i D[ CE(y_i, z_i) − CE(G_i, z_i) ]

exactly. One forward-mode pass gives D for the whole batch, without a second-order graph: this is
the engine `forward_mode`. The engine `double_backward` differentiates ∇_θ J once more instead. It
takes more time and memory, and serves as a check.

BatchNorm normalises by the batch, so CE(·, z_i) depends on all examples of the batch; D includes
that dependence. The running statistics are left to the caller.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from lightning_modules.distributed import Alone
from lightning_modules.losses import cross_entropy
from lightning_modules.passes import Params, Passes

ENGINES = ("forward_mode", "double_backward")


class LabelLosses(NamedTuple):
    """The losses of B examples, each under its two labels."""

    given: Tensor  # (B,) CE(y_i, z_i)
    guess: Tensor | None = None  # (B,) CE(G_i, z_i); None: ε is 1 and has no gradient

    @classmethod
    def of(cls, logits: Tensor, given: Tensor, guess: Tensor) -> "LabelLosses":
        """Return both losses of logits `(B, C)`, from given labels and pseudo-labels `(B, C)`."""
        return cls(cross_entropy(given, logits), cross_entropy(guess, logits))

    def mixed(self, label_mix: Tensor | float) -> Tensor:
        """Return ε CE(y, z) + (1 − ε) CE(G, z), `(B,)`."""
        if self.guess is None:
            return self.given
        return label_mix * self.given + (1 - label_mix) * self.guess


# Maps the logits `(B, C)` of one or two views to their losses.
LossesOf = Callable[..., LabelLosses]


class LookAhead(NamedTuple):
    """The constants of the look-ahead step."""

    step_size: float  # α, independent of the learning rate
    momentum_factor: float = 0.0  # μ
    weight: float = 0.0  # ω of every example in its rank's J, which is averaged over ranks
    label_mix: float = 1.0  # ε of every example


class MetaGradient(NamedTuple):
    """The result of `meta_gradient`."""

    weight: Tensor  # (B,) ∂M/∂ω
    label_mix: Tensor | None  # (B,) ∂M/∂ε; None without pseudo-labels
    inner_loss: Tensor  # scalar J(θ), of this rank's noisy batch
    inner_gradient: dict[str, Tensor]  # ∇_θ J, averaged over the ranks that decide together
    theta_ahead: dict[str, Tensor]  # θ'
    probe_loss: Tensor  # scalar M(θ'), of this rank's probe batch
    probe_logits: Tensor  # logits of the probe batch at θ'
    probe_gradient: dict[str, Tensor]  # v, averaged over the ranks that decide together


def meta_gradient(
    theta: Params,
    penalty: Tensor,
    *,
    passes: Passes,
    images: Sequence[Tensor],
    losses_of: LossesOf,
    logits: Sequence[Tensor] | None = None,
    probe_loss: Callable[[Params], tuple[Tensor, Tensor]],
    look_ahead: LookAhead,
    momentum: Params | None = None,
    ranks: Alone | None = None,
    engine: str = "forward_mode",
) -> MetaGradient:
    """Return ∂M/∂ω and ∂M/∂ε at the ω and ε of the look-ahead step.

    The graphs of `logits` and `penalty` are kept, so that the same passes can serve the final loss.

    Args:
        theta: the parameters θ, leaves that require gradients.
        penalty: reg(θ), a scalar with its graph.
        passes: forward passes through the network, by batch statistics.
        images: the noisy batch's views that the label losses depend on, each `(B, 3, H, W)`.
        losses_of: computes the label losses from the logits of these views.
        logits: the views' logits at θ with their graph, if already computed. `forward_mode` at
            ω = 0 does not need them, which saves the memory of their graph.
        probe_loss: maps θ' to M(θ') and the probe batch's logits.
        look_ahead: α, μ, ω and ε.
        momentum: m, the optimiser's momentum buffers by parameter name; None before the first step.
        ranks: the ranks that decide together: ∇_θ J and v are averaged over them, and nothing else
            crosses ranks.
        engine: `forward_mode` or `double_backward`.
    """
    ranks = ranks or Alone()
    names, leaves = list(theta), list(theta.values())
    double = engine == "double_backward"

    inner = penalty
    if double or look_ahead.weight:
        logits = logits or [passes.at(theta, image) for image in images]
        losses = losses_of(*logits)
        weight = torch.full_like(losses.given, look_ahead.weight).detach().requires_grad_(double)
        label_mix = torch.full_like(weight, look_ahead.label_mix).requires_grad_(double)
        inner = inner + weight @ losses.mixed(label_mix)
    # materialize_grads: a parameter that J does not depend on (no decay, ω = 0) has gradient 0
    gradient = torch.autograd.grad(
        inner, leaves, retain_graph=True, create_graph=double, materialize_grads=True
    )
    inner_gradient = [slope.detach() for slope in gradient]
    if look_ahead.weight:  # otherwise only the decay has a gradient, the same on all ranks
        inner_gradient = ranks.mean(inner_gradient)
    theta_ahead = _step(theta, inner_gradient, momentum, look_ahead)

    loss, probe_logits = probe_loss(theta_ahead)
    v = ranks.mean(torch.autograd.grad(loss, list(theta_ahead.values())))

    if double:
        by_weight, by_mix = _differentiate_again(gradient, v, weight, label_mix, look_ahead)
    else:
        along = dict(zip(names, v, strict=True))
        moved = [passes.along(theta, along, image) for image in images]
        by_weight, by_mix = _push_forward(moved, losses_of, look_ahead)
    return MetaGradient(
        weight=by_weight,
        # averaged over ranks, J weights an example by ω / ranks; ∂M/∂ω is by that weight
        label_mix=None if by_mix is None else by_mix / ranks.size,
        inner_loss=inner.detach(),
        inner_gradient=dict(zip(names, inner_gradient, strict=True)),
        theta_ahead={name: value.detach() for name, value in theta_ahead.items()},
        probe_loss=loss.detach(),
        probe_logits=probe_logits.detach(),
        probe_gradient=dict(zip(names, v, strict=True)),
    )


def _step(
    theta: Params, gradient: list[Tensor], momentum: Params | None, look_ahead: LookAhead
) -> dict[str, Tensor]:
    """Return θ' as new leaves, so that M is differentiated at θ', not through the step."""
    ahead = {}
    for (name, value), move in zip(theta.items(), gradient, strict=True):
        if momentum is not None:
            move = move + look_ahead.momentum_factor * momentum[name]
        ahead[name] = (value.detach() - look_ahead.step_size * move).requires_grad_()
    return ahead


@torch.no_grad()
def _push_forward(
    moved: Sequence[tuple[Tensor, Tensor]], losses_of: LossesOf, look_ahead: LookAhead
) -> tuple[Tensor, Tensor | None]:
    """Return (∂M/∂ω, ∂M/∂ε) from the views' logits and their derivatives along v."""
    with forward_ad.dual_level():
        losses = losses_of(*(forward_ad.make_dual(*view) for view in moved))
        given, guess = (
            None if cost is None else forward_ad.unpack_dual(cost).tangent for cost in losses
        )
    assert given is not None
    along = LabelLosses(given, guess)
    by_weight = -look_ahead.step_size * along.mixed(look_ahead.label_mix)
    if guess is None:
        return by_weight, None
    return by_weight, -look_ahead.step_size * look_ahead.weight * (given - guess)


def _differentiate_again(
    gradient: tuple[Tensor, ...],
    v: list[Tensor],
    weight: Tensor,
    label_mix: Tensor,
    look_ahead: LookAhead,
) -> tuple[Tensor, Tensor | None]:
    """Return (∂M/∂ω, ∂M/∂ε) as the vector-Jacobian product of ∂θ'/∂(ω, ε) = −α ∂(∇J)/∂(ω, ε)."""
    by_weight, by_mix = torch.autograd.grad(
        gradient,
        [weight, label_mix],
        grad_outputs=[-look_ahead.step_size * part for part in v],
        retain_graph=True,
        allow_unused=True,  # ε, where there is no guess
    )
    return by_weight, by_mix
