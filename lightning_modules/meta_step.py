"""The meta-step of L2R and IEG: example weights and label mixes from the probe batch."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import one_hot

from datamodules.batch import Step, Views
from datamodules.config_checks import check_above, check_one_of
from lightning_modules.base import NoisyLabelModule
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.compiled import CompiledPasses
from lightning_modules.distributed import Ranks, deciding_ranks
from lightning_modules.losses import cross_entropy
from lightning_modules.meta_gradient import (
    ENGINES,
    LabelLossesFn,
    LookAhead,
    meta_gradient,
)
from lightning_modules.passes import Params


class MetaStepResult(NamedTuple):
    """What the probe batch says about the noisy batch's labels; nothing here has a gradient."""

    example_weight: Tensor  # (B,) example weights ω*, summing to at most 1 over `ranks`
    label_mix: Tensor | None  # (B,) λ*: 1 keeps the given label, 0 takes the pseudo-label
    probe_loss: Tensor  # scalar M(θ'), of this rank's probe batch
    probe_logits: Tensor  # (B, C) at θ'
    ranks: Ranks  # the ranks that decided together

    def probe_accuracy(self, probe: Views) -> Tensor:
        """Return the accuracy on this rank's probe batch at θ', a scalar."""
        return (self.probe_logits.argmax(dim=1) == probe.label).to(self.probe_loss.dtype).mean()

    def weighted_loss(self, losses: Tensor) -> Tensor:
        """Return Σ ω_i ℓ_i, scaled so that the mean over ranks is the sum over all examples."""
        # not `@`, which autocast would compute in bfloat16
        return self.ranks.size * (self.example_weight * losses).sum()


class MetaStepModule(NoisyLabelModule):
    """A method that decides by the probe batch which labels of the noisy batch help.

    Args:
        meta_step_size: α of the look-ahead step; constant, whatever the learning rate.
        meta_engine: `forward_mode` or `double_backward`: the same numbers at different cost.
        meta_scope: `global` (all ranks share the look-ahead step and the weights' normalisation)
            or `replica` (each rank by itself, as the reference's replicas did).
        meta_float32: whether the meta-step, and the passes it shares with the training loss, stay
            in float32 under mixed precision.
        args: see `NoisyLabelModule`, also for the other keywords.
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
        check_above("method.meta_step_size", meta_step_size, 0)
        check_one_of("meta.engine", meta_engine, ENGINES)
        check_one_of("meta.scope", meta_scope, ("global", "replica"))
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
        """Take one training step; return its objective and batch for the callbacks."""
        # fused attention kernels have neither forward-mode nor second derivatives
        with sdpa_kernel(SDPBackend.MATH):
            return super().training_step(step, batch_idx)

    def in_float32(self) -> AbstractContextManager[Any]:
        """Return a context that keeps passes in float32 under mixed precision.

        The meta-step decides by the derivatives of single examples, often by their signs alone;
        bfloat16 changes the example weights by 1 to 9 % (benchmarks/rounding.py).
        """
        device_type = self.device.type
        if not self.meta_float32 or not torch.amp.is_autocast_available(device_type):
            return nullcontext()
        return torch.autocast(device_type, enabled=False)

    def meta_step(
        self,
        penalty: Tensor,
        images: Sequence[Tensor],
        label_losses_fn: LabelLossesFn,
        probe: Views,
        look_ahead: LookAhead,
        logits: Sequence[Tensor] | None = None,
    ) -> MetaStepResult:
        """Weight the examples of the noisy batch, and choose between their two labels:

            ω*_i = max(0, −∂M/∂ω_i) / (Σ_j max(0, −∂M/∂ω_j) + 1e-5)
            λ*_i = 1 where ∂M/∂ε_i < 0, else 0

        The sum is over the ranks that decide together; if no example helps, all weights are 0. See
        `meta_gradient` for the arguments.
        """
        ranks = deciding_ranks(self.meta_scope)
        target = one_hot(probe.label, self.num_classes)

        def probe_loss_fn(theta: Params) -> tuple[Tensor, Tensor]:
            logits = self.logits(probe.weak, theta)
            # The reference decays *all* parameters here, and only `decayed` ones elsewhere.
            return cross_entropy(target, logits).mean() + self.full_penalty(theta), logits

        with batch_statistics_only(self.net), self.in_float32():
            gradients = meta_gradient(
                self.theta(),
                penalty,
                passes=self.passes,
                images=images,
                label_losses_fn=label_losses_fn,
                logits=logits,
                probe_loss_fn=probe_loss_fn,
                look_ahead=look_ahead,
                momentum=self.momentum_buffers() if look_ahead.momentum_factor else None,
                ranks=ranks,
                engine=self.meta_engine,
            )
        unnormalised = (-gradients.example_weight_gradient).clamp(min=0)
        example_weight = unnormalised / (ranks.sum(unnormalised.sum()) + 1e-5)
        label_mix = None
        if gradients.label_mix_gradient is not None:
            label_mix = (gradients.label_mix_gradient < 0).to(example_weight.dtype)
        # do not keep `gradients` itself: it holds θ' and two gradients in memory
        return MetaStepResult(
            example_weight, label_mix, gradients.probe_loss, gradients.probe_logits, ranks
        )

    @staticmethod
    def meta_terms(result: MetaStepResult, probe: Views) -> dict[str, Tensor]:
        """Return the probe batch's loss and accuracy at θ', for the log."""
        return {"meta/loss": result.probe_loss, "meta/acc": result.probe_accuracy(probe)}
