"""Plain supervised training on the noisy labels: the baseline."""

from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.base import NoisyLabelModule
from lightning_modules.losses import cross_entropy
from lightning_modules.objective import Objective


class Supervised(NoisyLabelModule):
    """Mean cross-entropy of the given labels plus weight decay, on the weak view.

    The probe set, if there is one, is held out of the noisy examples and not trained on.
    """

    def objective(self, train: Views, probe: Views | None, draws: None) -> Objective:
        """Return the mean cross-entropy of the given labels plus weight decay."""
        logits = self.logits(train.weak)
        given_label = one_hot(train.label, self.num_classes)
        loss = cross_entropy(given_label, logits).mean() + self.penalty(self.theta())
        return Objective(loss, terms={}, logits=logits.detach())
