"""IEG: Zhang et al., "Distilling Effective Supervision from Severe Label Noise", CVPR 2020.

At each step the probe set decides two things about every noisy example: how much weight it gets
(ω), and whether it is trained on its given label or on the network's pseudo-label (λ). Two more
losses are mixup with the probe examples and consistency between two views. Where the paper and the
released code differ, this follows the code: L_ω and L_λ are halved, and no threshold on ω splits
the batch.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.batch import Views
from datamodules.config_checks import check_bool, check_one_of, check_within
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.early_backward import with_precomputed_gradient
from lightning_modules.losses import consistency, cross_entropy, guess_labels
from lightning_modules.meta_gradient import LabelLosses, LookAhead
from lightning_modules.meta_step import MetaStepModule, MetaStepResult
from lightning_modules.mixup import SHARE_FNS, MixupDraws, draw_mixup, mix, mixup_losses
from lightning_modules.objective import Objective


class IEGDraws(NamedTuple):
    """What a step needs beside its examples."""

    mixup: MixupDraws
    rampup: Tensor | None = None  # scalar in [0, 1]: ramp-up of p and k; None: 1


class IEG(MetaStepModule):
    """The IEG method.

    Args:
        meta_momentum: μ, the factor on the optimiser's momentum in the look-ahead step.
        initial_label_mix: ε₀, the share of the given label in the look-ahead step and in L_ω.
        temperature: for sharpening the pseudo-labels.
        ce_factor: p, the weight of the mixup loss on pseudo-labels.
        consistency_factor: k, the weight of the consistency loss.
        mixup_factor: the weight of L_β; 0: no mixup, so the trusted labels are not trained on.
        mixup_share: an example's share of itself in its mixture: `released` (the released code's
            1 − u²/2), `beta` (the paper's Beta(½, ½), folded to [½, 1]) or `none` (1: no mixing).
        relabel: whether the probe chooses between given label and pseudo-label (λ); if not, L_λ is
            dropped, L_ω is not halved, and ε is 1.
        guess_rampup_epochs: epochs over which p and k grow linearly from 0; 0: no ramp-up (paper,
            released code).
        guess_trust: exponent t of the factor max(0, (a − 1/C) / (1 − 1/C))^t on p and k, where a
            is the accuracy on the probe batch at θ'. A network no better than chance thus has
            p = k = 0. 0: no such factor (paper, released code).
        differentiable_guess: whether the look-ahead also differentiates the pseudo-labels G, as the
            released code does; if not, the strong view needs no derivative.
        args: see `MetaStepModule`, also for the other keywords.
    """

    uses_strong_view: ClassVar[bool] = True
    learns_probe: ClassVar[bool] = True  # mixup

    def __init__(
        self,
        *args: Any,
        meta_momentum: float = 0.9,
        initial_label_mix: float = 0.9,
        temperature: float = 0.5,
        ce_factor: float = 5.0,
        consistency_factor: float = 20.0,
        mixup_factor: float = 1.0,
        mixup_share: str = "released",
        relabel: bool = True,
        guess_rampup_epochs: float = 0.0,
        guess_trust: float = 0.0,
        differentiable_guess: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_within("method.temperature", temperature, 0.01, 1)
        check_within("method.initial_label_mix", initial_label_mix, 0, 1)
        check_within("method.ce_factor", ce_factor, 0)
        check_within("method.consistency_factor", consistency_factor, 0)
        check_within("method.mixup_factor", mixup_factor, 0)
        check_within("method.guess_rampup_epochs", guess_rampup_epochs, 0)
        check_within("method.guess_trust", guess_trust, 0)
        check_within("method.meta_momentum", meta_momentum, 0, 1)
        check_one_of("method.mixup_share", mixup_share, tuple(SHARE_FNS))
        check_bool("method.relabel", relabel)
        check_bool("method.differentiable_guess", differentiable_guess)
        self.meta_momentum = meta_momentum
        self.initial_label_mix = initial_label_mix if relabel else 1.0
        self.temperature = temperature
        self.ce_factor = ce_factor
        self.consistency_factor = consistency_factor
        self.mixup_factor = mixup_factor
        self.mixup_share_fn = SHARE_FNS[mixup_share]
        self.relabel = relabel
        self.guess_rampup_epochs = guess_rampup_epochs
        self.guess_trust = guess_trust
        self.differentiable_guess = differentiable_guess

    def draw(self, generator: torch.Generator, train: Views, probe: Views | None) -> IEGDraws:
        """Return mixup's random draws, and the current ramp-up of p and k."""
        assert probe is not None
        mixup = draw_mixup(generator, len(train.label), len(probe.label))
        rampup_steps = self.guess_rampup_epochs * self.schedule.steps_per_epoch
        rampup = torch.tensor(min(1.0, self.global_step / rampup_steps)) if rampup_steps else None
        return IEGDraws(mixup, rampup)

    def objective(self, train: Views, probe: Views | None, draws: IEGDraws) -> Objective:
        """Return L = (L_λ + L_ω) / 2 + L_β + k L_KL + reg(θ), without the terms switched off.

        The letters below are those of docs/differences.md (and of reference 3.5), which compares
        the paper, the released code and this code. (b) comes last because its graph is the largest
        and no other term needs it.
        """
        assert probe is not None
        assert train.strong is not None
        given_label = one_hot(train.label, self.num_classes)
        penalty = self.penalty(self.theta())

        # (a) Logits z and ẑ of the weak and the strong view, and the pseudo-labels G.
        with self.in_float32():
            z = self.logits(train.weak)  # the only pass that updates the running statistics
            with batch_statistics_only(self.net):
                z_strong = self.logits(train.strong)
        pseudo_label = guess_labels(z, z_strong, self.temperature).detach()

        # (d) The meta-step: ω* and λ*, constants from here on.
        meta_result = self._reweight_and_relabel(
            given_label, z, z_strong, pseudo_label, penalty, train, probe
        )

        # (e) L_ω: weights ω*, label mix ε₀. L_λ: equal weights, label mix λ*.
        losses = LabelLosses.of(z, given_label, pseudo_label)
        loss_labels = meta_result.weighted_loss(losses.mixed(self.initial_label_mix))  # L_ω
        terms = {"train/loss_weighted": loss_labels.detach()}
        if meta_result.label_mix is not None:
            loss_label_mix = losses.mixed(meta_result.label_mix).mean()  # L_λ
            loss_labels = (loss_label_mix + loss_labels) / 2
            terms["train/loss_label_mix"] = loss_label_mix.detach()

        # (c) k L_KL: the strong view learns from the weak one.
        pseudo_label_factor = self._pseudo_label_factor(meta_result, probe, draws.rampup)
        if self.guess_trust or self.guess_rampup_epochs:
            terms["train/guess_share"] = pseudo_label_factor
        loss_consistency = (
            pseudo_label_factor * self.consistency_factor * consistency(z, z_strong).mean()
        )
        terms["train/loss_consistency"] = loss_consistency.detach()
        loss = loss_labels + loss_consistency + penalty

        # (b) L_β: mixup of probe and noisy examples.
        if self.mixup_factor:
            # Free both views' graphs before building that of the mixed batch, three times as large.
            loss = with_precomputed_gradient(loss, list(self.theta().values()))
            mixed = mix(train, pseudo_label, probe, draws.mixup, self.mixup_share_fn)
            with batch_statistics_only(self.net):
                mixed_logits = self.logits(mixed.image)
            loss_trusted, loss_pseudo = mixup_losses(mixed_logits, mixed.label)  # L_l, L_u
            loss_mixup = loss_trusted + pseudo_label_factor * self.ce_factor * loss_pseudo  # L_β
            terms["train/loss_mixup"] = loss_mixup.detach()
            loss = loss + self.mixup_factor * loss_mixup

        return Objective(
            loss=loss,
            terms={**terms, **self.meta_terms(meta_result, probe)},
            logits=z.detach(),
            example_weight=meta_result.example_weight,
            num_deciding_ranks=meta_result.ranks.size,
            label_mix=meta_result.label_mix,
            pseudo_label=pseudo_label,
        )

    def _pseudo_label_factor(
        self, meta_result: MetaStepResult, probe: Views, rampup: Tensor | None
    ) -> Tensor:
        """Return the factor on p and k at this step, a scalar in [0, 1]."""
        if rampup is None:
            rampup = torch.ones_like(meta_result.probe_loss)
        if not self.guess_trust:
            return rampup
        (accuracy,) = meta_result.ranks.mean([meta_result.probe_accuracy(probe)])
        chance = 1 / self.num_classes
        return rampup * ((accuracy - chance).clamp(min=0) / (1 - chance)) ** self.guess_trust

    def _reweight_and_relabel(
        self,
        given_label: Tensor,
        z: Tensor,
        z_strong: Tensor,
        pseudo_label: Tensor,
        penalty: Tensor,
        train: Views,
        probe: Views,
    ) -> MetaStepResult:
        """Take the meta-step at ω = 1/B and ε = ε₀; `differentiable_guess`: G depends on θ too."""
        assert train.strong is not None
        images, logits = [train.weak], [z]
        if self.relabel and self.differentiable_guess:
            images, logits = [train.weak, train.strong], [z, z_strong]

        def label_losses_fn(z: Tensor, z_strong: Tensor | None = None) -> LabelLosses:
            if not self.relabel:
                return LabelLosses(cross_entropy(given_label, z))
            if z_strong is None:
                return LabelLosses.of(z, given_label, pseudo_label)
            return LabelLosses.of(z, given_label, guess_labels(z, z_strong, self.temperature))

        look_ahead = LookAhead(
            self.meta_step_size,
            self.meta_momentum,
            example_weight=1 / len(given_label),
            label_mix=self.initial_label_mix,
        )
        return self.meta_step(penalty, images, label_losses_fn, probe, look_ahead, logits)
