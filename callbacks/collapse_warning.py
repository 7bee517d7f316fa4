"""Says when nearly all guessed labels are of one class, while there is time to stop."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from callbacks.training_log import TrainingLog
from lightning_modules.messages import rank

_NEARLY_ALL = 0.9


class CollapseWarning(Callback):
    """After evaluations, tell once that the guesses have fallen into one class.

    Args:
        log: knows the share of the most frequent guess since the last row of metrics.
        num_classes: C; of two, one may well be that frequent.
    """

    def __init__(self, log: TrainingLog, num_classes: int) -> None:
        self._metrics = log  # not `log`: Lightning would put its own there
        self._done = num_classes < 3

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Look at the last row of metrics."""
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
