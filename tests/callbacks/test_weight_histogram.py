import csv
import itertools
import math
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
import wandb
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger

from callbacks.csv_log import CSVLog
from callbacks.weight_histogram import (
    BIN_LOWER,
    BIN_UPPER,
    WeightHistogram,
    add_weights,
    bin_ends,
    log_weights,
    write_weights,
)
from datamodules.batch import KNOWN_WRONG, UNKNOWN

NONE = [0] * len(BIN_UPPER)


def counted(weight: torch.Tensor, label: torch.Tensor, clean: torch.Tensor) -> list[list[int]]:
    counts = torch.zeros(3, len(BIN_UPPER), dtype=torch.int64)
    add_weights(counts, bin_ends(), weight, label, clean)
    return counts.tolist()


def test_bins_are_those_of_numpy() -> None:
    weight = 3 * torch.randn(5000, generator=torch.Generator().manual_seed(0)).clamp(min=0) ** 3
    label = torch.zeros(5000, dtype=torch.int64)
    clean, wrong, unknown = counted(weight, label, label)
    # numpy's bins hold their lower ends, ours the upper ones
    expected, _ = np.histogram(-weight.numpy(), sorted([*(-np.array(BIN_UPPER)), 1e-9]))
    assert clean == expected[::-1].tolist()
    assert all(clean)
    assert (wrong, unknown) == (NONE, NONE)


def test_groups_and_the_ends_of_bins() -> None:
    weight = torch.tensor([0.0, 1e-30, 1.0, 1.001, 32.0, 33.0, 0.0])
    label = torch.zeros(7, dtype=torch.int64)
    clean = torch.tensor([0, 0, 1, 1, KNOWN_WRONG, UNKNOWN, UNKNOWN])
    found = [
        {(BIN_LOWER[place], BIN_UPPER[place]): count for place, count in enumerate(row) if count}
        for row in counted(weight, label, clean)
    ]
    assert found[0] == {(0, 0): 1, (0, 1 / 32): 1}
    assert found[1] == {(2**-0.5, 1): 1, (1, 2**0.5): 1, (2**4.5, 32): 1}
    assert found[2] == {(0, 0): 1, (32, math.inf): 1}


def some() -> WeightHistogram:
    return WeightHistogram(30, [[*range(len(BIN_UPPER))], [5, *NONE[1:]], NONE])


def test_the_file_is_long_and_whole(tmp_path: Path) -> None:
    write_weights([some(), some()._replace(step=60)], tmp_path / "weights.csv")
    rows = list(csv.DictReader((tmp_path / "weights.csv").open()))
    assert len(rows) == 2 * 3 * len(BIN_UPPER)
    assert rows[0] == {"step": "30", "group": "clean", "low": "0", "high": "0", "count": "0"}
    last = rows[len(BIN_UPPER) - 1]
    assert (last["low"], float(last["high"]), int(last["count"])) == ("32", math.inf, 22)
    assert {row["group"] for row in rows} == {"clean", "wrong", "unknown"}
    assert [row["step"] for row in rows[:: len(BIN_UPPER)]] == ["30"] * 3 + ["60"] * 3


def test_wandb_gets_a_histogram_of_each_group_there_is() -> None:
    logger = mock.create_autospec(WandbLogger, instance=True)
    log_weights(some(), logger)
    assert all(call.kwargs == {"step": 30} for call in logger.log_metrics.call_args_list)
    sent = {}
    for call in logger.log_metrics.call_args_list:
        sent.update(*call.args)
    assert list(sent) == ["weight/clean", "weight/wrong"]
    assert isinstance(sent["weight/wrong"], wandb.Histogram)
    assert sent["weight/wrong"].histogram == some().counts[1]
    bins = sent["weight/wrong"].bins
    assert all(low < high < math.inf for low, high in itertools.pairwise(bins))
    assert bins[:3] == [-1 / 32, 0, 1 / 32]


def test_tensorboard_gets_the_same(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorBoardLogger(tmp_path)
    log_weights(some(), logger)
    logger.experiment.flush()
    found = reading.EventAccumulator(logger.log_dir).Reload()
    assert found.Tags()["histograms"] == ["weight/clean", "weight/wrong"]
    (event,) = found.Histograms("weight/clean")
    assert event.step == 30
    assert event.histogram_value.bucket == some().counts[0]
    assert event.histogram_value.bucket_limit == pytest.approx([*BIN_UPPER[:-1], 64])


def test_others_get_nothing(tmp_path: Path) -> None:
    log_weights(some(), CSVLog(tmp_path / "metrics.csv"))
    assert list(tmp_path.iterdir()) == []
