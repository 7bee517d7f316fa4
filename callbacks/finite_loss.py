"""Stop the run if a loss is not finite, before this can get into a checkpoint."""

from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from lightning_modules.cpu_collectives import CollectiveError, all_gather_object


class StepLosses(NamedTuple):
    """A training step's losses and examples, still on their device."""

    number: int
    losses: dict[str, Tensor]  # the loss first
    rows: Tensor  # (B,) rows of the examples in the data set's training list


class FiniteLoss(Callback):
    """Keep the losses of the last steps, and check them every `every` steps and before each save.

    A check waits for the device, so that not every step has one. All ranks stop together, as soon
    as one has to.

    Args:
        every: steps between two checks, at least 1.
    """

    def __init__(self, every: int = 50) -> None:
        self.every = every
        self._recent_steps: list[StepLosses] = []

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the step; check when it is time."""
        objective, examples = outputs["objective"], outputs["batch"]
        # a copy: tensors from a worker lie in memory shared with it
        rows = examples.index.clone()
        self._recent_steps.append(StepLosses(trainer.global_step, objective.scalars, rows))
        if trainer.global_step % self.every == 0 or trainer.global_step == trainer.max_steps:
            self._stop_together(self._nonfinite_loss())
            self._recent_steps = []

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep a non-finite state from being saved; all ranks get here before one writes."""
        problem = self._nonfinite_loss()
        if problem is None and not _weights_finite(pl_module):
            problem = f"the weights were not finite after step {trainer.global_step}"
        self._stop_together(problem)
        self._recent_steps = []

    def _nonfinite_loss(self) -> str | None:
        if not self._recent_steps:
            return None
        finite = torch.stack(
            [recent.losses["train/loss"].isfinite() for recent in self._recent_steps]
        ).tolist()
        if all(finite):
            return None
        number, losses, examples = self._recent_steps[finite.index(False)]
        values = ", ".join(f"{name}={value.item():.4g}" for name, value in losses.items())
        rows = ", ".join(str(row) for row in examples.tolist())
        return (
            f"the loss of step {number} was not finite ({values}) on the training examples {rows}"
        )

    def _stop_together(self, problem: str | None) -> None:
        reports = all_gather_object(problem)
        problems = [
            report if len(reports) == 1 else f"rank {rank}: {report}"
            for rank, report in enumerate(reports)
            if report
        ]
        if problems:
            raise CollectiveError(
                f"{'; '.join(problems)}: lower learning_rate, or give method.grad_clip, in a new "
                "run_dir; the last checkpoint, if there is one, is from before."
            )


def _weights_finite(module: pl.LightningModule) -> bool:
    values = [value for value in module.state_dict().values() if value.is_floating_point()]
    return bool(torch.stack([value.isfinite().all() for value in values]).all())
