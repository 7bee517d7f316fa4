"""Plain supervised training on the noisy labels: what every method has to beat."""

from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.base import NoisyLabelModule
from lightning_modules.losses import cross_entropy
from lightning_modules.objective import Objective


class Supervised(NoisyLabelModule):
    """Mean cross-entropy of the given labels plus weight decay, on the weak view.

    The probe set, if there is one, stays out of training, as for the other methods.
    """

    def objective(self, train: Views, probe: Views | None, draws: None) -> Objective:
        """Return the mean cross-entropy of the given labels."""
        logits = self.logits(train.weak)
        given = one_hot(train.label, self.num_classes)
        loss = cross_entropy(given, logits).mean() + self.penalty(self.theta())
        return Objective(loss, terms={}, logits=logits.detach())
