"""L2R: Ren et al., "Learning to Reweight Examples for Robust Deep Learning", ICML 2018."""

from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.losses import cross_entropy
from lightning_modules.meta_gradient import LabelLosses, LookAhead
from lightning_modules.meta_step import MetaStepModule
from lightning_modules.objective import Objective


class L2R(MetaStepModule):
    """Weight each example by how much a step on it would lower the probe loss.

    As in the IEG authors' baseline, the look-ahead is at ω = 0, without momentum, and over all
    parameters (their newest release uses the last layer only).
    """

    def objective(self, train: Views, probe: Views | None, draws: None = None) -> Objective:
        """Return Σ ω_i CE(y_i, z_i) plus weight decay (Ren et al. 2018, Algorithm 1)."""
        assert probe is not None
        given_label = one_hot(train.label, self.num_classes)

        penalty = self.penalty(self.theta())

        def label_losses_fn(logits: Tensor) -> LabelLosses:
            return LabelLosses(cross_entropy(given_label, logits))

        look_ahead = LookAhead(self.meta_step_size)
        with self.passes.sharing(train.weak):
            meta_result = self.meta_step(penalty, [train.weak], label_losses_fn, probe, look_ahead)
            # After the meta-step, which does not need this graph, so that it is never in memory
            # together with the probe's.
            logits = self.logits(train.weak)
        losses = cross_entropy(given_label, logits)
        return Objective(
            loss=meta_result.weighted_loss(losses) + penalty,
            terms=self.meta_terms(meta_result, probe),
            logits=logits.detach(),
            example_weight=meta_result.example_weight,
            num_deciding_ranks=meta_result.ranks.size,
        )
