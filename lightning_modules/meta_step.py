"""The meta-step as L2R and IEG use it: one network, a noisy batch, a trusted batch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import one_hot

from datamodules.batch import Step, Views
from datamodules.bounds import above, one_of
from lightning_modules.base import NoisyLabelModule
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.compiled import CompiledPasses
from lightning_modules.distributed import Alone, ranks
from lightning_modules.losses import cross_entropy
from lightning_modules.meta_gradient import (
    ENGINES,
    LookAhead,
    LossesOf,
    meta_gradient,
)
from lightning_modules.passes import Params


class Verdict(NamedTuple):
    """What the probe batch says of the noisy batch's labels; all constants."""

    weight: Tensor  # (B,) example weights ω*, summing to at most 1 over `ranks`
    label_mix: Tensor | None  # (B,) λ*: 1 keeps the given label, 0 takes the guess
    probe_loss: Tensor  # scalar M(θ'), of this rank's probe batch
    probe_logits: Tensor  # (B, C) at θ'
    ranks: Alone  # those who decided together

    def probe_accuracy(self, probe: Views) -> Tensor:
        """Return the share of this rank's probe batch that is right at θ', scalar."""
        return (self.probe_logits.argmax(dim=1) == probe.label).to(self.probe_loss.dtype).mean()

    def weighted_sum(self, losses: Tensor) -> Tensor:
        """Return Σ ω_i ℓ_i, scaled so that the mean over ranks is the sum over all examples."""
        # not `@`, which autocast would take in bfloat16
        return self.ranks.size * (self.weight * losses).sum()


class MetaStepModule(NoisyLabelModule):
    """A method that asks the probe batch which labels of the noisy batch help.

    Args:
        meta_step_size: α of the look-ahead step; constant, whatever the learning rate does.
        meta_engine: `forward_mode` or `double_backward`: the same numbers at another price.
        meta_scope: `global` (all ranks look ahead and weigh together) or `replica` (each rank for
            itself, as the reference's replicas did).
        meta_float32: whether the meta-step, and the passes it shares, stay in float32 under mixed
            precision.
        args: see `NoisyLabelModule`, as for all other keywords.
    """

    uses_probe: ClassVar[bool] = True

    def __init__(
        self,
        *args: Any,
        meta_step_size: float = 0.1,
        meta_engine: str = "forward_mode",
        meta_scope: str = "global",
        meta_float32: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        above("method.meta_step_size", meta_step_size, 0)
        one_of("meta.engine", meta_engine, ENGINES)
        one_of("meta.scope", meta_scope, ("global", "replica"))
        if isinstance(self.passes, CompiledPasses) and meta_engine == "double_backward":
            raise ValueError(
                "speed.compile=true makes passes that cannot be differentiated twice: give "
                "meta.engine=forward_mode, or leave speed.compile out."
            )
        self.meta_step_size = meta_step_size
        self.meta_engine = meta_engine
        self.meta_scope = meta_scope
        self.meta_float32 = meta_float32

    def training_step(self, step: Step, batch_idx: int) -> dict[str, Any]:
        """Take one step of descent; return what callbacks watch."""
        # attention's fused kernels have neither derivatives in forward mode nor second ones
        with sdpa_kernel(SDPBackend.MATH):
            return super().training_step(step, batch_idx)

    def in_float32(self) -> AbstractContextManager[Any]:
        """Return what keeps passes in float32 under mixed precision.

        Single examples' derivatives decide, and often no more than their signs; bfloat16 moves the
        weights by 1 to 9 % (benchmarks/rounding.py).
        """
        kind = self.device.type
        if not self.meta_float32 or not torch.amp.is_autocast_available(kind):
            return nullcontext()
        return torch.autocast(kind, enabled=False)

    def meta_step(
        self,
        penalty: Tensor,
        images: Sequence[Tensor],
        losses_of: LossesOf,
        probe: Views,
        look_ahead: LookAhead,
        logits: Sequence[Tensor] | None = None,
    ) -> Verdict:
        """Weigh the noisy batch, and choose between its two labels:

            ω*_i = max(0, −∂M/∂ω_i) / (Σ_j max(0, −∂M/∂ω_j) + 1e-5)
            λ*_i = 1 where ∂M/∂ε_i < 0, else 0

        All weights are 0 where no example helps. See `meta_gradient` for the arguments.
        """
        together = ranks(self.meta_scope)
        target = one_hot(probe.label, self.num_classes)

        def probe_loss(theta: Params) -> tuple[Tensor, Tensor]:
            logits = self.logits(probe.weak, theta)
            # The reference decays *all* parameters here, and only `decayed` ones elsewhere.
            return cross_entropy(target, logits).mean() + self.full_penalty(theta), logits

        with batch_statistics_only(self.net), self.in_float32():
            gradient = meta_gradient(
                self.theta(),
                penalty,
                passes=self.passes,
                images=images,
                losses_of=losses_of,
                logits=logits,
                probe_loss=probe_loss,
                look_ahead=look_ahead,
                momentum=self.momentum_buffers() if look_ahead.momentum_factor else None,
                ranks=together,
                engine=self.meta_engine,
            )
        helpful = (-gradient.weight).clamp(min=0)
        weight = helpful / (together.sum(helpful.sum()) + 1e-5)
        by_mix = gradient.label_mix
        label_mix = None if by_mix is None else (by_mix < 0).to(weight.dtype)
        # not the gradient itself: θ' and two gradients need not lie in memory any longer
        return Verdict(weight, label_mix, gradient.probe_loss, gradient.probe_logits, together)

    @staticmethod
    def meta_terms(verdict: Verdict, probe: Views) -> dict[str, Tensor]:
        """Return the meta-step's scalars, of the network one look-ahead step away."""
        return {"meta/loss": verdict.probe_loss, "meta/acc": verdict.probe_accuracy(probe)}
