"""IEG: Zhang et al., "Distilling Effective Supervision from Severe Label Noise", CVPR 2020.

Each step asks the probe set two things about each noisy example: how much it should weigh (ω), and
whether its given label or the network's own guess should teach (λ). On top come mixup with the
probe and consistency between two views. Where paper and released code differ, this is the code:
the first two losses are halved, and no threshold on ω splits the batch.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.bounds import within
from lightning_modules.losses import consistency, cross_entropy, guess_labels
from lightning_modules.meta_gradient import LabelLosses, LookAhead, Params
from lightning_modules.meta_step import MetaStepModule
from lightning_modules.mixup import MixupDraws, draw_mixup, mix, mixup_losses
from lightning_modules.objective import Objective


class IEG(MetaStepModule):
    """The whole of IEG.

    Args:
        meta_momentum: μ, how much of the optimiser's momentum the look-ahead step takes along.
        initial_label_mix: ε₀, the share of the given label in the look-ahead step and in L_ω.
        temperature: of the guessed labels.
        ce_factor: p, the weight of the guessed labels' mixup loss.
        consistency_factor: k, the weight of the consistency loss.
        differentiable_guess: whether the look-ahead differentiates the guess G too, as the
            released code does; without, the strong view's derivative is saved.
        args: see `MetaStepModule`, as for all other keywords.
    """

    uses_strong_view: ClassVar[bool] = True

    def __init__(
        self,
        *args: Any,
        meta_momentum: float = 0.9,
        initial_label_mix: float = 0.9,
        temperature: float = 0.5,
        ce_factor: float = 5.0,
        consistency_factor: float = 20.0,
        differentiable_guess: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        within("method.temperature", temperature, 0.01, 1)
        within("method.initial_label_mix", initial_label_mix, 0, 1)
        within("method.ce_factor", ce_factor, 0)
        within("method.consistency_factor", consistency_factor, 0)
        within("method.meta_momentum", meta_momentum, 0, 1)
        self.meta_momentum = meta_momentum
        self.initial_label_mix = initial_label_mix
        self.temperature = temperature
        self.ce_factor = ce_factor
        self.consistency_factor = consistency_factor
        self.differentiable_guess = differentiable_guess

    def draw(self, generator: torch.Generator, train: Views, probe: Views | None) -> MixupDraws:
        """Return the draws of mixup."""
        assert probe is not None
        return draw_mixup(generator, len(train.label), len(probe.label))

    def objective(self, train: Views, probe: Views | None, draws: MixupDraws) -> Objective:
        """Return (L_λ + L_ω) / 2 + L_β + k L_KL plus weight decay."""
        weak_view, strong_view = train.weak, train.strong
        assert probe is not None
        assert strong_view is not None
        given = one_hot(train.label, self.num_classes)
        penalty = self.penalty(self.theta())

        # Predictions of both views, z and ẑ, and the labels they would guess, G.
        weak = self.net(weak_view)  # the one pass that moves the running statistics
        with batch_statistics_only(self.net):
            strong = self.net(strong_view)
        guess = guess_labels(weak, strong, self.temperature)
        pseudo_label = guess.detach()

        # The meta-step: ω* and λ*. λ* keeps the given label where that helps the probe, else G.
        losses = self._label_losses(
            given, weak, guess if self.differentiable_guess else pseudo_label
        )
        look_ahead = LookAhead(
            self.meta_step_size,
            self.meta_momentum,
            weight=1 / len(train.label),
            label_mix=self.initial_label_mix,
        )

        def label_losses(theta: Params) -> LabelLosses:
            z = self.logits(theta, weak_view)
            if not self.differentiable_guess:
                return self._label_losses(given, z, pseudo_label)
            z_strong = self.logits(theta, strong_view)
            return self._label_losses(given, z, guess_labels(z, z_strong, self.temperature))

        verdict = self.meta_step(losses, penalty, label_losses, probe, look_ahead)
        by_label_mix = verdict.gradient.label_mix
        assert by_label_mix is not None
        keep = (by_label_mix < 0).to(weak.dtype)

        # L_λ: the chosen labels, every example alike. L_ω: the chosen weights, the initial labels.
        constant = self._label_losses(given, weak, pseudo_label)
        loss_mixed = constant.mixed(keep).mean()
        loss_weighted = verdict.weighted_sum(constant.mixed(self.initial_label_mix))

        # L_β: probe and noisy examples mixed.
        mixed = mix(train, pseudo_label, probe, draws)
        with batch_statistics_only(self.net):
            mixed_logits = self.net(mixed.image)
        loss_trusted, loss_guessed = mixup_losses(mixed_logits, mixed.label)
        loss_mixup = loss_trusted + self.ce_factor * loss_guessed

        # L_KL: the strong view learns from the weak one.
        loss_consistency = self.consistency_factor * consistency(weak, strong).mean()

        loss = (loss_mixed + loss_weighted) / 2 + loss_mixup + loss_consistency + penalty
        return Objective(
            loss=loss,
            terms={
                "train/loss_label_mix": loss_mixed.detach(),
                "train/loss_weighted": loss_weighted.detach(),
                "train/loss_mixup": loss_mixup.detach(),
                "train/loss_consistency": loss_consistency.detach(),
                **self.meta_terms(verdict, probe),
            },
            logits=weak.detach(),
            example_weight=verdict.weight,
            label_mix=keep,
            pseudo_label=pseudo_label,
        )

    @staticmethod
    def _label_losses(given: Tensor, logits: Tensor, guess: Tensor) -> LabelLosses:
        return LabelLosses(cross_entropy(given, logits), cross_entropy(guess, logits))
