"""Histograms of example weights among right, wrong and unknown labels: bins, file, loggers.

An average example has weight 1. Zero has its own bin; from 1/32 to 32, bins are half an octave
wide (a factor of √2). In batches of 100, more than nine in ten positive weights of L2R and IEG are
in that range.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from callbacks.noise_metrics import label_groups
from datamodules.tables import table_writer

GROUPS = ("clean", "wrong", "unknown")

# A bin holds low < weight <= high, and the first one holds 0.
BIN_UPPER = (0.0, *(2 ** (half / 2) for half in range(-10, 11)), math.inf)
BIN_LOWER = (0.0, *BIN_UPPER[:-1])


class WeightHistogram(NamedTuple):
    """Histograms of the example weights from one evaluation to the next."""

    step: int  # of the later evaluation
    counts: list[list[int]]  # a row of bins for each of GROUPS


def bin_ends() -> Tensor:
    """Return the finite upper ends of the bins, `(bins - 1,)` float32."""
    return torch.tensor(BIN_UPPER[:-1])


def add_weights(
    counts: Tensor, bin_ends: Tensor, weight: Tensor, label: Tensor, clean_label: Tensor
) -> None:
    """Count a batch's weights in place, without waiting for the device.

    Args:
        counts: `(groups, bins)` integers.
        bin_ends: as returned by `bin_ends`, on the device.
        weight: example weights, `(B,)`, 1 on average.
        label: given labels, `(B,)`.
        clean_label: true labels, `(B,)`, `UNKNOWN`, or `KNOWN_WRONG`.
    """
    clean, wrong = label_groups(label, clean_label)
    group = wrong + 2 * ~(clean | wrong)  # index into GROUPS
    flat_index = group * counts.shape[1] + torch.bucketize(weight.float(), bin_ends)
    counts.view(-1).index_add_(0, flat_index, torch.ones_like(flat_index, dtype=counts.dtype))


def write_weights(history: Sequence[WeightHistogram], path: Path) -> None:
    """Write a CSV file with one row for each evaluation, group and bin."""
    with table_writer(path, ["step", "group", "low", "high", "count"]) as rows:
        for step, counts in history:
            for group, row in zip(GROUPS, counts, strict=True):
                for low, high, count in zip(BIN_LOWER, BIN_UPPER, row, strict=True):
                    rows.writerow([step, group, f"{low:.6g}", f"{high:.6g}", count])


def log_weights(histogram: WeightHistogram, logger: Logger) -> None:
    """Send `weight/clean` and so on to a logger that can draw histograms; others get nothing.

    Their edges must increase and be finite, so zero's bin is (-1/32, 0] and the last ends at 64.
    """
    edges = np.array([-BIN_UPPER[1], *BIN_UPPER[:-1], 2 * BIN_UPPER[-2]])
    centres = (edges[:-1] + edges[1:]) / 2
    for group, row in zip(GROUPS, histogram.counts, strict=True):
        name, counts = f"weight/{group}", np.array(row)
        if not counts.any():
            continue
        if isinstance(logger, WandbLogger):
            import wandb

            wandb_histogram: Any = {name: wandb.Histogram(np_histogram=(counts, edges))}
            logger.log_metrics(wandb_histogram, step=histogram.step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_histogram_raw(
                name,
                min=edges[0],
                max=edges[-1],
                num=counts.sum(),
                sum=counts @ centres,
                sum_squares=counts @ centres**2,
                bucket_limits=edges[1:].tolist(),
                bucket_counts=row,
                global_step=histogram.step,
            )
