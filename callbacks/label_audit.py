"""What training says about each label: the list of the labels that look wrong.

Every time an example is visited, the network's probability of its given label (weak view, before
the step) is noted. The *trust score* is the mean over all visits. It needs no pass of its own and
means the same for every method; the early visits, before a network can have learnt a wrong label
by heart, count as much as the late ones (compare the area under the margin, Pleiss et al. 2020).
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from callbacks.messages import everyones, mine
from callbacks.noise_metrics import auroc
from datamodules.atomic import replacing
from datamodules.batch import UNKNOWN

Floats = NDArray[np.float64]

COLUMNS = (
    "rank",  # from 1, the most suspicious first
    "index",  # row in the data set's training list
    "given_label",
    "suggested_label",
    "confidence",  # of the suggestion
    "trust",
    "weight",  # mean example weight; empty without example weights
    "visits",
    "true_label",  # empty where nobody knows its class
)


class Audit(NamedTuple):
    """The audit of M visited examples, in order of the data set's training list."""

    index: NDArray[np.int64]  # type: ignore[assignment]  # (M,)
    given: NDArray[np.int64]  # (M,) the given label
    clean: NDArray[np.int64]  # (M,) the true one, UNKNOWN, or KNOWN_WRONG
    suggested: NDArray[np.int64]  # (M,) what the network predicted at the last visit
    confidence: Floats  # (M,) with which probability
    trust: Floats  # (M,) in [0, 1], low: probably wrong
    weight: Floats  # (M,) mean example weight, 1 on average over a batch; NaN without weights
    visits: NDArray[np.int64]  # (M,)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which labels are known to be right or wrong."""
        return self.clean != UNKNOWN

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which labels are known to be wrong."""
        return self.known & (self.given != self.clean)

    def auroc(self, score: Floats) -> float | None:
        """Return how well a low score tells wrong labels, or None where that is not defined."""
        pairs = np.stack([-score, self.wrong], axis=1)[self.known]
        return auroc(torch.from_numpy(pairs))


class LabelAudit(Callback):
    """Note at every visit what the network thinks of the given label.

    24 bytes an example, on the device; a step adds to them without waiting.

    Args:
        size: examples in the data set's training list.
    """

    _COLUMNS = ("visits", "trust", "weight", "suggested", "confidence")

    def __init__(self, size: int) -> None:
        self._table = torch.zeros(len(self._COLUMNS), size)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the table to the device."""
        self._table = self._table.to(pl_module.device)

    @torch.no_grad()
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Add one step's visits. A row may stand in a small data set's batch more than once."""
        objective, examples = outputs["objective"], outputs["batch"]
        probability = objective.logits.float().softmax(dim=1)
        given = probability.gather(1, examples.label[:, None])[:, 0]
        confidence, suggested = probability.max(dim=1)
        weight = torch.full_like(given, torch.nan)
        if objective.example_weight is not None:
            weight = objective.example_weight * (len(given) * trainer.world_size)
        sums = torch.stack([torch.ones_like(given), given, weight])
        self._table[:3].index_add_(1, examples.index, sums)
        self._table[3:].index_copy_(
            1, examples.index, torch.stack([suggested.to(confidence.dtype), confidence])
        )

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Join what the ranks saw: sums add up, and the surer last prediction stays.

        Not when training ends: a run that goes on from its last step does not train.
        """
        if trainer.world_size > 1:
            tables = torch.stack(everyones(self._table.cpu()))
            surest = tables[:, -1].argmax(dim=0)
            last = tables[:, 3:].gather(0, surest.expand(1, 2, -1))[0]
            self._table = torch.cat([tables[:, :3].sum(dim=0), last])

    def audit(self, datamodule: Any) -> Audit:
        """Return what was noted about the noisy examples that were visited."""
        manifest = datamodule.manifest
        table = self._table.double().cpu().numpy()[:, manifest.train_rows]
        seen = table[0] > 0
        visits, trust, weight, suggested, confidence = table[:, seen]
        return Audit(
            index=manifest.train_rows[seen],
            given=manifest.given[seen],
            clean=manifest.clean[seen],
            suggested=suggested.astype(np.int64),
            confidence=confidence,
            trust=trust / visits,
            weight=weight / visits,
            visits=visits.astype(np.int64),
        )

    def state_dict(self) -> dict[str, list[Tensor]]:
        """Return every rank's table."""
        return {"tables": everyones(self._table.cpu())}

    def load_state_dict(self, state_dict: dict[str, list[Tensor]]) -> None:
        """Go on with a saved table."""
        self._table = mine(state_dict["tables"]).to(self._table.device)


def write_labels(
    audit: Audit, class_names: tuple[str, ...], path: Path, files: Sequence[str] | None = None
) -> None:
    """Write `labels.csv`, the most suspicious label first; see `COLUMNS`.

    Args:
        audit: what was noted.
        class_names: of the C classes.
        path: of the file to write.
        files: path of each row of the training list, where there are such: a further column.
    """
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, *(["path"] if files is not None else [])])
        for rank, row in enumerate(np.argsort(audit.trust, kind="stable"), start=1):
            weight, clean = audit.weight[row], audit.clean[row]
            writer.writerow(
                [
                    rank,
                    audit.index[row],
                    class_names[audit.given[row]],
                    class_names[audit.suggested[row]],
                    f"{audit.confidence[row]:.4f}",
                    f"{audit.trust[row]:.6f}",
                    "" if np.isnan(weight) else f"{weight:.6f}",
                    audit.visits[row],
                    class_names[clean] if clean >= 0 else "",
                    *([files[audit.index[row]]] if files is not None else []),
                ]
            )
