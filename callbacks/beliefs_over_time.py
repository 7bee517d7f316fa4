"""How beliefs about labels change: counts over the steps from one evaluation to the next."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from callbacks.transition import add_pairs, transition_error
from callbacks.weight_histogram import (
    BIN_UPPER,
    GROUPS,
    WeightHistogram,
    add_weights,
    bin_ends,
    log_weights,
)
from lightning_modules.cpu_collectives import all_reduce_sum, rank

# With more classes, two matrices of C x C numbers are too large to keep and to save.
MAX_CLASSES = 2000


class BeliefsOverTime(Callback):
    """Count predicted, true and given classes, and example weights; log them at each evaluation.

    Counts stay on the device, so that a step never waits, and are integers, so that their sum over
    ranks is exact. Must run before `Evaluations`, which saves the state after an evaluation.

    Args:
        num_classes: C; with more than 2,000 there are no transition matrices.

    Attributes:
        weights: histograms of example weights, one per evaluation; empty without weights.
    """

    def __init__(self, num_classes: int) -> None:
        matrices = 2 if num_classes <= MAX_CLASSES else 0
        self.weights: list[WeightHistogram] = []
        # counts of this rank since the last evaluation; pairs: how often each class (row) had each
        # given label (column), by predicted class [0] and by true class [1]
        self._pairs = torch.zeros(matrices, num_classes, num_classes, dtype=torch.int32)
        self._weights = torch.zeros(len(GROUPS), len(BIN_UPPER), dtype=torch.int64)
        self._bin_ends = bin_ends()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the counts to the device."""
        self._pairs, self._weights, self._bin_ends = (
            tensor.to(pl_module.device) for tensor in (self._pairs, self._weights, self._bin_ends)
        )

    @torch.no_grad()
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Count one step's examples."""
        objective, examples = outputs["objective"], outputs["batch"]
        given, clean = examples.label, examples.clean_label
        if len(self._pairs):
            add_pairs(self._pairs, objective.logits.argmax(dim=1), given, clean)
        weight = objective.relative_weight
        if weight is not None:
            add_weights(self._weights, self._bin_ends, weight, given, clean)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what was counted since the last evaluation, and reset the counts."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        step = trainer.global_step
        pairs, weights = self._over_ranks()
        self._pairs, self._weights = map(torch.zeros_like, (self._pairs, self._weights))
        if len(pairs):
            error = transition_error(*pairs)
            if error is not None:
                for logger in trainer.loggers:
                    logger.log_metrics({"transition/error": error}, step=step)
        if weights.any():
            self.weights.append(WeightHistogram(step, weights.tolist()))
            if trainer.is_global_zero:
                for logger in trainer.loggers:
                    log_weights(self.weights[-1], logger)

    def _over_ranks(self) -> list[Tensor]:
        return [all_reduce_sum(counts.cpu()) for counts in (self._pairs, self._weights)]

    def state_dict(self) -> dict[str, Any]:
        """Return the histograms so far, and the open counts summed over ranks."""
        pairs, weights = self._over_ranks()
        return {
            "weights": [tuple(histogram) for histogram in self.weights],
            "open_pairs": pairs,
            "open_weights": weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore saved counts: the first rank takes them all, since only their sum is used."""
        self.weights = [WeightHistogram(*histogram) for histogram in state_dict["weights"]]
        share = 1 if rank() == 0 else 0
        self._pairs = share * state_dict["open_pairs"].to(self._pairs.device)
        self._weights = share * state_dict["open_weights"].to(self._weights.device)
