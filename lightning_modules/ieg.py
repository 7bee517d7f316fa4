"""IEG: Zhang et al., "Distilling Effective Supervision from Severe Label Noise", CVPR 2020.

Each step asks the probe set two things about each noisy example: how much it should weigh (ω), and
whether its given label or the network's own guess should teach (λ). On top come mixup with the
probe and consistency between two views. Where paper and released code differ, this is the code:
the first two losses are halved, and no threshold on ω splits the batch.
"""

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.batch import Views
from datamodules.bounds import one_of, switch, within
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.early_backward import differentiated
from lightning_modules.losses import consistency, cross_entropy, guess_labels
from lightning_modules.meta_gradient import LabelLosses, LookAhead
from lightning_modules.meta_step import MetaStepModule, Verdict
from lightning_modules.mixup import SHARES, MixupDraws, draw_mixup, mix, mixup_losses
from lightning_modules.objective import Objective


class IEGDraws(NamedTuple):
    """What a step needs beside its examples."""

    mixup: MixupDraws
    ramp: Tensor | None = None  # scalar: how much of p and k counts by now; None: all


class IEG(MetaStepModule):
    """The whole of IEG.

    Args:
        meta_momentum: μ, how much of the optimiser's momentum the look-ahead step takes along.
        initial_label_mix: ε₀, the share of the given label in the look-ahead step and in L_ω.
        temperature: of the guessed labels.
        ce_factor: p, the weight of the guessed labels' mixup loss.
        consistency_factor: k, the weight of the consistency loss.
        mixup_factor: of L_β; 0: nothing is mixed, and the trusted labels are not trained on.
        mixup_share: how much of itself a mixed example keeps: `released` (the released code's
            1 − u²/2), `beta` (the paper's Beta(½, ½), folded to [½, 1]) or `none` (all: it is not
            mixed).
        relabel: whether the probe chooses between given label and guess (λ); if not, L_λ falls
            away, L_ω is not halved, and ε is 1.
        guess_rampup_epochs: over which p and k grow from 0, evenly; 0: they are whole from the
            start (paper, released code).
        guess_trust: the power of the probe's accuracy by which p and k shrink: they are multiplied
            by max(0, (a − 1/C) / (1 − 1/C)) to this power, a being the accuracy on the probe batch
            one look-ahead step on, so that guesses no better than chance teach nothing; 0: they do
            not shrink (paper, released code).
        differentiable_guess: whether the look-ahead differentiates the guess G too, as the
            released code does; without, the strong view's derivative is saved.
        args: see `MetaStepModule`, as for all other keywords.
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
        within("method.temperature", temperature, 0.01, 1)
        within("method.initial_label_mix", initial_label_mix, 0, 1)
        within("method.ce_factor", ce_factor, 0)
        within("method.consistency_factor", consistency_factor, 0)
        within("method.mixup_factor", mixup_factor, 0)
        within("method.guess_rampup_epochs", guess_rampup_epochs, 0)
        within("method.guess_trust", guess_trust, 0)
        within("method.meta_momentum", meta_momentum, 0, 1)
        one_of("method.mixup_share", mixup_share, tuple(SHARES))
        switch("method.relabel", relabel)
        switch("method.differentiable_guess", differentiable_guess)
        self.meta_momentum = meta_momentum
        self.initial_label_mix = initial_label_mix if relabel else 1.0
        self.temperature = temperature
        self.ce_factor = ce_factor
        self.consistency_factor = consistency_factor
        self.mixup_factor = mixup_factor
        self.mixup_share = SHARES[mixup_share]
        self.relabel = relabel
        self.guess_rampup_epochs = guess_rampup_epochs
        self.guess_trust = guess_trust
        self.differentiable_guess = differentiable_guess

    def draw(self, generator: torch.Generator, train: Views, probe: Views | None) -> IEGDraws:
        """Return the draws of mixup, and how far the guesses' share has grown."""
        assert probe is not None
        mixup = draw_mixup(generator, len(train.label), len(probe.label))
        steps = self.guess_rampup_epochs * self.schedule.steps_per_epoch
        ramp = torch.tensor(min(1.0, self.global_step / steps)) if steps else None
        return IEGDraws(mixup, ramp)

    def objective(self, train: Views, probe: Views | None, draws: IEGDraws) -> Objective:
        """Return L = (L_λ + L_ω) / 2 + L_β + k L_KL + reg(θ), or what the ablation leaves of it.

        The letters below are those of docs/differences.md (and of reference 3.5), which sets paper,
        released code and these lines side by side. (b) comes last: it needs nothing of the
        meta-step, and its graph is the largest.
        """
        assert probe is not None
        assert train.strong is not None
        given = one_hot(train.label, self.num_classes)
        penalty = self.penalty(self.theta())

        # (a) Logits z and ẑ of both views, and the labels G they guess.
        with self.in_float32():
            z = self.logits(train.weak)  # the one pass that moves the running statistics
            with batch_statistics_only(self.net):
                z_strong = self.logits(train.strong)
        pseudo_label = guess_labels(z, z_strong, self.temperature).detach()

        # (d) The meta-step: ω* and λ*, constants from here on.
        verdict = self._ask_probe(given, z, z_strong, pseudo_label, penalty, train, probe)

        # (e) The chosen weights, at the initial labels; the chosen labels, all alike in weight.
        losses = LabelLosses.of(z, given, pseudo_label)
        loss_labels = verdict.weighted_sum(losses.mixed(self.initial_label_mix))  # L_ω
        terms = {"train/loss_weighted": loss_labels.detach()}
        if verdict.label_mix is not None:
            loss_label_mix = losses.mixed(verdict.label_mix).mean()  # L_λ
            loss_labels = (loss_label_mix + loss_labels) / 2
            terms["train/loss_label_mix"] = loss_label_mix.detach()

        # (c) k L_KL: the strong view learns from the weak one.
        share = self._share_of_guesses(verdict, probe, draws.ramp)
        if self.guess_trust or self.guess_rampup_epochs:
            terms["train/guess_share"] = share
        loss_consistency = share * self.consistency_factor * consistency(z, z_strong).mean()
        terms["train/loss_consistency"] = loss_consistency.detach()
        loss = loss_labels + loss_consistency + penalty

        # (b) Probe and noisy examples, mixed.
        if self.mixup_factor:
            # Both views' graphs go before the mixed batch, three times as large, makes its own.
            loss = differentiated(loss, list(self.theta().values()))
            mixed = mix(train, pseudo_label, probe, draws.mixup, self.mixup_share)
            with batch_statistics_only(self.net):
                mixed_logits = self.logits(mixed.image)
            loss_trusted, loss_guessed = mixup_losses(mixed_logits, mixed.label)  # L_l, L_u
            loss_mixup = loss_trusted + share * self.ce_factor * loss_guessed  # L_β
            terms["train/loss_mixup"] = loss_mixup.detach()
            loss = loss + self.mixup_factor * loss_mixup

        return Objective(
            loss=loss,
            terms={**terms, **self.meta_terms(verdict, probe)},
            logits=z.detach(),
            example_weight=verdict.weight,
            weighed_ranks=verdict.ranks.size,
            label_mix=verdict.label_mix,
            pseudo_label=pseudo_label,
        )

    def _share_of_guesses(self, verdict: Verdict, probe: Views, ramp: Tensor | None) -> Tensor:
        """Return how much of p and k counts at this step, scalar from 0 to 1."""
        if ramp is None:
            ramp = torch.ones_like(verdict.probe_loss)
        if not self.guess_trust:
            return ramp
        (accuracy,) = verdict.ranks.mean([verdict.probe_accuracy(probe)])
        chance = 1 / self.num_classes
        return ramp * ((accuracy - chance).clamp(min=0) / (1 - chance)) ** self.guess_trust

    def _ask_probe(
        self,
        given: Tensor,
        z: Tensor,
        z_strong: Tensor,
        pseudo_label: Tensor,
        penalty: Tensor,
        train: Views,
        probe: Views,
    ) -> Verdict:
        """Take the meta-step from ω = 1/B and ε = ε₀, with the guess moving along with θ or not."""
        assert train.strong is not None
        images, logits = [train.weak], [z]
        if self.relabel and self.differentiable_guess:
            images, logits = [train.weak, train.strong], [z, z_strong]

        def losses_of(z: Tensor, z_strong: Tensor | None = None) -> LabelLosses:
            if not self.relabel:
                return LabelLosses(cross_entropy(given, z))
            guess = pseudo_label
            if z_strong is not None:
                guess = guess_labels(z, z_strong, self.temperature)
            return LabelLosses.of(z, given, guess)

        look_ahead = LookAhead(
            self.meta_step_size,
            self.meta_momentum,
            weight=1 / len(given),
            label_mix=self.initial_label_mix,
        )
        return self.meta_step(penalty, images, losses_of, probe, look_ahead, logits)
