"""How beliefs about labels change: from one evaluation to the next, what is seen is counted."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from callbacks.transition import add_pairs, transition_error
from callbacks.weight_histogram import GROUPS, HIGH, Weighed, add_weights, ends, log_weights
from lightning_modules.messages import rank, total

# With more classes, two matrices of C x C numbers are too much to keep and to save.
MOST_CLASSES = 2000


class BeliefsOverTime(Callback):
    """Count predicted, true and given classes, and example weights; publish at each evaluation.

    Counts stay on the device and are whole numbers, so that ranks add up exactly, and a step never
    waits. Must come before `Evaluations`, which saves what an evaluation leaves here.

    Args:
        num_classes: C; with more than 2,000 there are no transition matrices.

    Attributes:
        weights: histograms of example weights, one entry an evaluation; empty without weights.
    """

    def __init__(self, num_classes: int) -> None:
        matrices = 2 if num_classes <= MOST_CLASSES else 0
        self.weights: list[Weighed] = []
        # since the last evaluation, of this rank; pairs are how often each class (a row) had each
        # given label (a column), by the network's predictions [0] and in truth [1]
        self._pairs = torch.zeros(matrices, num_classes, num_classes, dtype=torch.int32)
        self._weights = torch.zeros(len(GROUPS), len(HIGH), dtype=torch.int64)
        self._ends = ends()

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the counts to the device."""
        self._pairs, self._weights, self._ends = (
            one.to(pl_module.device) for one in (self._pairs, self._weights, self._ends)
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
            add_weights(self._weights, self._ends, weight, given, clean)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Publish what was counted since the last evaluation, and begin anew."""
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
            self.weights.append(Weighed(step, weights.tolist()))
            if trainer.is_global_zero:
                for logger in trainer.loggers:
                    log_weights(self.weights[-1], logger)

    def _over_ranks(self) -> list[Tensor]:
        return [total(counts.cpu()) for counts in (self._pairs, self._weights)]

    def state_dict(self) -> dict[str, Any]:
        """Return what was published, and the open counts of all ranks together."""
        pairs, weights = self._over_ranks()
        return {
            "weights": [tuple(weighed) for weighed in self.weights],
            "open_pairs": pairs,
            "open_weights": weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with saved counts: the first rank takes them all, since they are only added up."""
        self.weights = [Weighed(*weighed) for weighed in state_dict["weights"]]
        share = 1 if rank() == 0 else 0
        self._pairs = share * state_dict["open_pairs"].to(self._pairs.device)
        self._weights = share * state_dict["open_weights"].to(self._weights.device)
