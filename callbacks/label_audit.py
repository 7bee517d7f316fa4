"""The audit: what training records about each label, and final predictions when it has ended.

See `audit.trust` for how these become a trust score.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn
from torch import Tensor

from audit.confidence import confidence_lower_bound, estimate_transition_matrix
from audit.detection import detection
from audit.final_predictions import FinalPredictions, predict_labels
from audit.record import Audit
from audit.tested import audit_tested
from audit.trust import final_trust, levelled, levels, margin, trust
from datamodules.base import NoisyLabelDataModule
from lightning_modules.base import NoisyLabelModule
from lightning_modules.cpu_collectives import all_gather_object, all_reduce_sum, own_entry

# Rows of the table: sums over an example's visits, and values from its last one.
_SUMMED_ROWS = ("visits", "margin", "weight", "weight²", "weight is 0")
_LAST_VISIT_ROWS = ("suggested", "confidence")


class LabelAudit(Callback):
    """Record at each visit how the network judges the given label; predict all examples at the end.

    This takes 28 bytes per example, on the device; a step adds to them without waiting.

    Args:
        size: examples in the data set's training list.
        num_classes: C.

    Attributes:
        final: the final predictions of noisy examples, if there are any.
        final_tested: those of test pictures whose labels nobody checked, if there are any.
    """

    def __init__(self, size: int, num_classes: int) -> None:
        self._table = torch.zeros(len(_SUMMED_ROWS) + len(_LAST_VISIT_ROWS), size)
        self._level = torch.ones(num_classes)
        # since the epoch began, by given label: sum of its probability, and number of examples
        self._epoch_sums = torch.zeros(2, num_classes)
        self.final: FinalPredictions | None = None
        self.final_tested: FinalPredictions | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Move the table to the device."""
        self._table, self._level, self._epoch_sums = (
            tensor.to(pl_module.device) for tensor in (self._table, self._level, self._epoch_sums)
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
        """Add one step's visits; a small data set's batch may contain a row more than once."""
        objective, examples = outputs["objective"], outputs["batch"]
        logits, given = objective.logits.float(), examples.label
        probability = levelled(logits, self._level).softmax(dim=1)
        confidence, suggested = probability.max(dim=1)
        ones = torch.ones_like(confidence)
        weight = objective.relative_weight
        if weight is None:
            weight = ones * torch.nan
        sums = torch.stack(
            [ones, margin(probability, given), weight, weight**2, (weight <= 0).float()]
        )
        last = torch.stack([suggested.to(confidence.dtype), confidence])
        last = last[:, last_occurrence(examples.index)]
        self._table[: len(_SUMMED_ROWS)].index_add_(1, examples.index, sums)
        self._table[len(_SUMMED_ROWS) :].index_copy_(1, examples.index, last)
        p_given = logits.softmax(dim=1).gather(1, given[:, None])[:, 0]
        self._epoch_sums.index_add_(1, given, torch.stack([p_given, ones]))
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if trainer.global_step % data.steps_per_epoch == 0:
            self._level = levels(*all_reduce_sum(self._epoch_sums.cpu())).to(
                self._epoch_sums.device
            )
            self._epoch_sums.zero_()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log how well trust scores from the visits so far tell wrong labels from right ones."""
        if trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        manifest = data.manifest
        table = all_reduce_sum(self._table[:2].cpu())
        visits, margins = table[:, manifest.train_rows].double().numpy()
        seen = visits > 0
        score_so_far = trust(margins[seen], visits[seen], None)
        metrics = detection(score_so_far, manifest.given[seen], manifest.clean[seen])
        for logger in trainer.loggers:
            logger.log_metrics(metrics, step=trainer.global_step)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Merge the ranks' tables, and predict every example once more.

        Not in `on_train_end`, which a run resumed at its last step does not reach. A run shorter
        than an epoch has no time for these predictions, and is judged by its visits alone.
        """
        tables = all_gather_object(self._table.cpu())
        self._table = merge_tables(tables)
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if self._table[0].sum() >= data.num_train:
            module: Any = pl_module
            self.run_final_pass(module, data, trainer)

    def run_final_pass(
        self, module: NoisyLabelModule, data: NoisyLabelDataModule, trainer: pl.Trainer
    ) -> None:
        """Predict every label in doubt; the ranks' tables must be merged already."""
        manifest = data.manifest
        visits, suggested = self._table[[0, len(_SUMMED_ROWS)]].numpy()[:, manifest.train_rows]
        seen = visits > 0
        transition_matrix = estimate_transition_matrix(
            suggested[seen].astype(np.int64), manifest.given[seen], data.num_classes
        )
        self.final, self.final_tested = predict_labels(
            module, data, trainer, self._level, transition_matrix
        )

    def audit(self, data: NoisyLabelDataModule) -> Audit:
        """Return the audit of all noisy examples or, without final predictions, of those visited.

        Pictures that could not be read are left out: the network saw them grey.
        """
        manifest, final = data.manifest, self.final
        seen = ~data.unread(manifest.train_rows)
        if final is None:
            seen &= self._table[0].numpy()[manifest.train_rows] > 0
        rows, given = manifest.train_rows[seen], manifest.given[seen]
        visits, margins, weights, squares, zeros, last, last_confidence = (
            self._table.double().numpy()[:, rows]
        )
        with np.errstate(invalid="ignore"):  # never visited: 0 / 0 is NaN, as it should be
            weight, square, zero = weights / visits, squares / visits, zeros / visits
        if final is None:
            suggested = last.astype(np.int64)
            transition_matrix = estimate_transition_matrix(suggested, given, data.num_classes)
            confidence = confidence_lower_bound(
                last_confidence, suggested, given, transition_matrix
            )
            score = trust(margins, visits, None)
        else:
            suggested, confidence, p_right, p_right_full = final.of_rows(rows)
            score = final_trust(margins, visits, p_right, p_right_full)
        return Audit(
            index=rows,
            given=given,
            clean=manifest.clean[seen],
            suggested=suggested,
            confidence=confidence,
            trust=score,
            weight=weight,
            weight_sd=np.sqrt(np.maximum(square - weight**2, 0)),
            zero_share=np.where(np.isnan(weight), np.nan, zero),
            visits=visits.astype(np.int64),
        )

    def audit_tested(self, data: NoisyLabelDataModule) -> Audit:
        """Return the audit of the test labels that nobody checked; see `audit.tested`."""
        return audit_tested(self.final_tested, data)

    def state_dict(self) -> dict[str, Any]:
        """Return every rank's table and open sums, and the levels, which are the same for all."""
        return {
            "tables": all_gather_object(self._table.cpu()),
            "open": all_gather_object(self._epoch_sums.cpu()),
            "level": self._level.cpu(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore this rank's saved table and open sums, and the levels."""
        device = self._table.device
        self._table = own_entry(_tables(state_dict, "the checkpoint")).to(device)
        self._epoch_sums, self._level = (
            own_entry(state_dict["open"]).to(device),
            state_dict["level"].to(device),
        )

    @classmethod
    def saved(cls, state: Mapping[str, Any] | None, checkpoint: str) -> "LabelAudit":
        """Return the audit saved in a checkpoint, with the tables of its ranks merged.

        Args:
            state: of this callback, or None if there is none.
            checkpoint: names the checkpoint, for messages.

        Raises:
            ValueError: if it holds no audit of this kind.
        """
        table = merge_tables(_tables(state, checkpoint))
        assert state is not None
        audit = cls(table.shape[1], len(state["level"]))
        audit._table, audit._level = table, state["level"]
        return audit


def _tables(state: Mapping[str, Any] | None, checkpoint: str) -> list[Tensor]:
    saved = state or {}
    tables: list[Tensor] = saved.get("tables", [])
    rows = len(_SUMMED_ROWS) + len(_LAST_VISIT_ROWS)
    if not tables or "level" not in saved or any(len(table) != rows for table in tables):
        raise ValueError(
            f"{checkpoint} holds no audit of the kind that this version keeps: train anew "
            "(fresh=true sets the old run aside)."
        )
    return tables


def last_occurrence(index: Tensor) -> Tensor:
    """Return for each row of a batch the place, (B,), where it occurs last; mostly its own.

    Written with the values of that place, a row has the same values wherever it occurs. A GPU
    writes in any order, so otherwise it would be left to chance which of them stay.

    Args:
        index: rows, (B,), int64.
    """
    ordered, place = index.sort(stable=True)
    return place[torch.searchsorted(ordered, index, right=True) - 1]


def merge_tables(tables: Sequence[Tensor]) -> Tensor:
    """Merge the ranks' tables: sums are added, and the most confident last prediction is kept."""
    stacked = torch.stack(list(tables))
    most_confident = stacked[:, -1].argmax(dim=0)
    last = stacked[:, len(_SUMMED_ROWS) :].gather(
        0, most_confident.expand(1, len(_LAST_VISIT_ROWS), -1)
    )[0]
    return torch.cat([stacked[:, : len(_SUMMED_ROWS)].sum(dim=0), last])
