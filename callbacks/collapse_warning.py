"""Warn if nearly all pseudo-labels are of one class, while there is time to stop."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from callbacks.training_log import TrainingLog
from lightning_modules.cpu_collectives import rank

_NEARLY_ALL = 0.9


class CollapseWarning(Callback):
    """After evaluations, warn once if the pseudo-labels have collapsed to one class.

    Args:
        log: has the share of the most frequent pseudo-label in its last window.
        num_classes: C; no warning if it is 2, as one of two classes may well be that frequent.
    """

    def __init__(self, log: TrainingLog, num_classes: int) -> None:
        self._metrics = log  # not `log`: Lightning sets that attribute
        self._done = num_classes < 3

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Check the last metrics that were logged."""
        share = self._metrics.latest.get("pseudo/top_class_share", 0.0)
        if self._done or share < _NEARLY_ALL or rank() != 0:
            return
        self._done = True
        trusts = getattr(pl_module, "guess_trust", 0)
        print(
            f"warning: at step {trainer.global_step:,}, {share:.0%} of the guessed labels are of "
            "one class, and teach nothing else: unless the data are so, give "
            f"method.guess_trust={2 * trusts or 2:g}, or a smaller method.ce_factor and "
            "method.consistency_factor."
        )
