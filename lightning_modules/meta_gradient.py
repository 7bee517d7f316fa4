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

from lightning_modules.distributed import Ranks, SingleRank
from lightning_modules.losses import cross_entropy
from lightning_modules.passes import Params, Passes

ENGINES = ("forward_mode", "double_backward")


class LabelLosses(NamedTuple):
    """The losses of B examples, each under its two labels."""

    on_given: Tensor  # (B,) CE(y_i, z_i)
    on_pseudo: Tensor | None = None  # (B,) CE(G_i, z_i); None: ε is 1 and has no gradient

    @classmethod
    def of(cls, logits: Tensor, given_label: Tensor, pseudo_label: Tensor) -> "LabelLosses":
        """Return both losses of logits `(B, C)`, from given labels and pseudo-labels `(B, C)`."""
        return cls(cross_entropy(given_label, logits), cross_entropy(pseudo_label, logits))

    def mixed(self, label_mix: Tensor | float) -> Tensor:
        """Return ε CE(y, z) + (1 − ε) CE(G, z), `(B,)`."""
        if self.on_pseudo is None:
            return self.on_given
        return label_mix * self.on_given + (1 - label_mix) * self.on_pseudo


# Maps the logits `(B, C)` of one or two views to their losses.
LabelLossesFn = Callable[..., LabelLosses]


class LookAhead(NamedTuple):
    """The constants of the look-ahead step."""

    step_size: float  # α, independent of the learning rate
    momentum_factor: float = 0.0  # μ
    example_weight: float = 0.0  # ω of every example in its rank's J, which is averaged over ranks
    label_mix: float = 1.0  # ε of every example


class MetaGradient(NamedTuple):
    """The result of `meta_gradient`."""

    example_weight_gradient: Tensor  # (B,) ∂M/∂ω
    label_mix_gradient: Tensor | None  # (B,) ∂M/∂ε; None without pseudo-labels
    inner_loss: Tensor  # scalar J(θ), of this rank's noisy batch
    inner_gradient: dict[str, Tensor]  # ∇_θ J, averaged over the ranks that decide together
    theta_ahead: dict[str, Tensor]  # θ'
    probe_loss: Tensor  # scalar M(θ'), of this rank's probe batch
    probe_logits: Tensor  # logits of the probe batch at θ'
    probe_gradient: dict[str, Tensor]  # v, averaged over the ranks that decide together


class InnerVariables(NamedTuple):
    """ω and ε of each example of the batch, as tensors that J depends on."""

    example_weight: Tensor  # (B,) ω
    label_mix: Tensor  # (B,) ε

    def label_loss(self, losses: LabelLosses) -> Tensor:
        """Return J without its weight decay, a scalar."""
        return self.example_weight @ losses.mixed(self.label_mix)


def meta_gradient(
    theta: Params,
    penalty: Tensor,
    *,
    passes: Passes,
    images: Sequence[Tensor],
    label_losses_fn: LabelLossesFn,
    logits: Sequence[Tensor] | None = None,
    probe_loss_fn: Callable[[Params], tuple[Tensor, Tensor]],
    look_ahead: LookAhead,
    momentum: Params | None = None,
    ranks: Ranks | None = None,
    engine: str = "forward_mode",
) -> MetaGradient:
    """Return ∂M/∂ω and ∂M/∂ε at the ω and ε of the look-ahead step.

    The graphs of `logits` and `penalty` are kept, so that the same passes can serve the final loss.

    Args:
        theta: the parameters θ, leaves that require gradients.
        penalty: reg(θ), a scalar with its graph.
        passes: forward passes through the network, by batch statistics.
        images: the noisy batch's views that the label losses depend on, each `(B, 3, H, W)`.
        label_losses_fn: computes the label losses from the logits of these views.
        logits: the views' logits at θ with their graph, if already computed. `forward_mode` at
            ω = 0 does not need them, which saves the memory of their graph.
        probe_loss_fn: maps θ' to M(θ') and the probe batch's logits.
        look_ahead: α, μ, ω and ε.
        momentum: m, the optimiser's momentum buffers by parameter name; None before the first step.
        ranks: the ranks that decide together: ∇_θ J and v are averaged over them, and nothing else
            crosses ranks.
        engine: `forward_mode` or `double_backward`.
    """
    ranks = ranks or SingleRank()
    names, parameters = list(theta), list(theta.values())
    double_backward = engine == "double_backward"

    inner_loss, inner_variables = penalty, None
    # Forward mode at ω = 0 does not need the label losses here: they add nothing to J or ∇_θ J.
    if double_backward or look_ahead.example_weight:
        logits = logits or [passes.logits(theta, image) for image in images]
        losses = label_losses_fn(*logits)
        inner_variables = _inner_variables(losses, look_ahead, requires_grad=double_backward)
        inner_loss = inner_loss + inner_variables.label_loss(losses)
    # materialize_grads: a parameter that J does not depend on (no decay, ω = 0) has gradient 0
    graph_gradient = torch.autograd.grad(
        inner_loss,
        parameters,
        retain_graph=True,
        create_graph=double_backward,
        materialize_grads=True,
    )
    inner_gradient = [part.detach() for part in graph_gradient]
    if look_ahead.example_weight:  # otherwise only the decay has a gradient, the same on all ranks
        inner_gradient = ranks.mean(inner_gradient)
    theta_ahead = _look_ahead_parameters(theta, inner_gradient, momentum, look_ahead)

    probe_loss, probe_logits = probe_loss_fn(theta_ahead)
    v = ranks.mean(torch.autograd.grad(probe_loss, list(theta_ahead.values())))
    probe_gradient = dict(zip(names, v, strict=True))

    if double_backward:
        assert inner_variables is not None
        example_weight_gradient, label_mix_gradient = _by_double_backward(
            graph_gradient, v, inner_variables, look_ahead
        )
    else:
        logits_and_jvps = [passes.jvp(theta, probe_gradient, image) for image in images]
        example_weight_gradient, label_mix_gradient = _by_forward_mode(
            logits_and_jvps, label_losses_fn, look_ahead
        )
    return MetaGradient(
        example_weight_gradient=example_weight_gradient,
        # averaged over ranks, J weights an example by ω / ranks; ∂M/∂ω is by that weight
        label_mix_gradient=None if label_mix_gradient is None else label_mix_gradient / ranks.size,
        inner_loss=inner_loss.detach(),
        inner_gradient=dict(zip(names, inner_gradient, strict=True)),
        theta_ahead={name: value.detach() for name, value in theta_ahead.items()},
        probe_loss=probe_loss.detach(),
        probe_logits=probe_logits.detach(),
        probe_gradient=probe_gradient,
    )


def _inner_variables(
    losses: LabelLosses, look_ahead: LookAhead, requires_grad: bool
) -> InnerVariables:
    example_weight = torch.full_like(losses.on_given, look_ahead.example_weight).detach()
    label_mix = torch.full_like(example_weight, look_ahead.label_mix)
    return InnerVariables(
        example_weight.requires_grad_(requires_grad), label_mix.requires_grad_(requires_grad)
    )


def _look_ahead_parameters(
    theta: Params, gradient: list[Tensor], momentum: Params | None, look_ahead: LookAhead
) -> dict[str, Tensor]:
    """Return θ' as new leaves, so that M is differentiated at θ', not through the step."""
    theta_ahead = {}
    for (name, value), update in zip(theta.items(), gradient, strict=True):
        if momentum is not None:
            update = update + look_ahead.momentum_factor * momentum[name]
        theta_ahead[name] = (value.detach() - look_ahead.step_size * update).requires_grad_()
    return theta_ahead


@torch.no_grad()
def _by_forward_mode(
    logits_and_jvps: Sequence[tuple[Tensor, Tensor]],
    label_losses_fn: LabelLossesFn,
    look_ahead: LookAhead,
) -> tuple[Tensor, Tensor | None]:
    """Return (∂M/∂ω, ∂M/∂ε) from the views' logits and their derivatives along v."""
    with forward_ad.dual_level():
        losses = label_losses_fn(*(forward_ad.make_dual(*view) for view in logits_and_jvps))
        on_given, on_pseudo = (
            None if loss is None else forward_ad.unpack_dual(loss).tangent for loss in losses
        )
    assert on_given is not None
    tangents = LabelLosses(on_given, on_pseudo)
    example_weight_gradient = -look_ahead.step_size * tangents.mixed(look_ahead.label_mix)
    if on_pseudo is None:
        return example_weight_gradient, None
    label_mix_gradient = -look_ahead.step_size * look_ahead.example_weight * (on_given - on_pseudo)
    return example_weight_gradient, label_mix_gradient


def _by_double_backward(
    graph_gradient: tuple[Tensor, ...],
    v: list[Tensor],
    inner_variables: InnerVariables,
    look_ahead: LookAhead,
) -> tuple[Tensor, Tensor | None]:
    """Return (∂M/∂ω, ∂M/∂ε) as the vector-Jacobian product of ∂θ'/∂(ω, ε) = −α ∂(∇J)/∂(ω, ε)."""
    example_weight_gradient, label_mix_gradient = torch.autograd.grad(
        graph_gradient,
        list(inner_variables),
        grad_outputs=[-look_ahead.step_size * part for part in v],
        retain_graph=True,
        allow_unused=True,  # ε, where there is no pseudo-label
    )
    return example_weight_gradient, label_mix_gradient
