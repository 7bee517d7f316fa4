"""What a finished run puts on its W&B page: suspicious pictures, confusions, figures, results."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from audit.record import Audit
from callbacks.wandb_log import WandbLog
from datamodules.base import NoisyLabelDataModule
from datamodules.noise import transition_counts

Results = dict[str, Any]

MOST_PICTURES = 100
MOST_CLASSES = 100  # of a confusion matrix: more do not fit a screen

# Sides of thumbnails: small pictures are enlarged by a whole factor, large ones shrunk. A hundred
# of 32x32 pictures, as PNG, take 0.4 MB; a hundred of photos, as JPEG, 0.3 MB.
_SMALL, _LARGE = 64, 96

# Settings, which are in W&B's config already.
_IN_CONFIG = ("seed", "noise")


def log_finished_run(
    logger: WandbLog,
    results: Results,
    folder: Path,
    audit: Audit | None = None,
    data: NoisyLabelDataModule | None = None,
) -> None:
    """Send a finished run's figures and tables, and its results as W&B's summary of the run.

    Args:
        logger: the run's.
        results: as in `results.json`; its numbers go to the summary under their names.
        folder: the run's, with `figures/`.
        audit: of the labels, if known.
        data: what was trained on, if the audit is known.
    """
    try:
        with _wandb_data_in(folder):
            logger.log_metrics(_figures_and_tables(folder, audit, data), step=results["steps"])
    except Exception as error:  # a server refused or did not answer: the run is done anyway
        problem = f"{type(error).__name__}: {error}"
        print(f"note: W&B did not take all ({problem}); it is in {folder}", file=sys.stderr)
    numbers = {
        name: value
        for name, value in results.items()
        if isinstance(value, int | float) and name not in _IN_CONFIG
    }
    logger.experiment.log({}, commit=True)  # closes the last row, to keep it before these
    logger.experiment.summary.update(numbers)


def _figures_and_tables(
    folder: Path, audit: Audit | None, data: NoisyLabelDataModule | None
) -> dict[str, Any]:
    import wandb

    figures = sorted((folder / "figures").glob("*.png"))
    logged: dict[str, Any] = {f"figures/{path.stem}": wandb.Image(str(path)) for path in figures}
    if audit is not None and data is not None:
        logged["labels/suspicious"] = suspicious_table(audit, data)
        logged |= confusion_charts(audit, data.manifest.class_names)
    return logged


def suspicious_table(audit: Audit, data: NoisyLabelDataModule) -> Any:
    """Return a `wandb.Table` of the most suspicious labels, the first ones of `labels.csv`."""
    import wandb

    order = audit.order[:MOST_PICTURES]
    names, any_known = data.manifest.class_names, bool((audit.clean >= 0).any())
    location_column = "index" if data.paths is None else "path"
    columns = [
        "rank",
        "picture",
        "given label",
        "suggested label",
        "confidence",
        "trust",
        location_column,
    ]
    columns += ["true label"] if any_known else []
    table = wandb.Table(columns=[*columns])
    pictures = data.train_set.images.for_evaluation(torch.from_numpy(audit.index[order]))
    for rank, (row, picture) in enumerate(zip(order, pictures, strict=True), start=1):
        index, true = int(audit.index[row]), int(audit.clean[row])
        cells = [
            rank,
            _thumbnail(picture.permute(1, 2, 0).numpy()),
            names[audit.given[row]],
            names[audit.suggested[row]],
            float(audit.confidence[row]),
            float(audit.trust[row]),
            index if data.paths is None else data.paths[index],
        ]
        table.add_data(*cells, *([names[true] if true >= 0 else None] if any_known else []))
    return table


def confusion_charts(audit: Audit, class_names: tuple[str, ...]) -> dict[str, Any]:
    """Return confusion matrices of the labels, as W&B charts.

    Given labels by true ones, where any is known, and suggested labels by given ones; nothing if
    there are more than `MOST_CLASSES` classes.
    """
    if len(class_names) > MOST_CLASSES:
        return {}
    known = audit.clean >= 0
    charts = {}
    if known.any():
        charts["labels/given_by_true"] = _confusion_chart(
            audit.clean[known], audit.given[known], ("true label", "given label"), class_names
        )
    charts["labels/suggested_by_given"] = _confusion_chart(
        audit.given, audit.suggested, ("given label", "suggested label"), class_names
    )
    return charts


def _confusion_chart(
    row_labels: NDArray[np.int64],
    column_labels: NDArray[np.int64],
    axis_names: tuple[str, str],
    class_names: tuple[str, ...],
) -> Any:
    import wandb

    counts = transition_counts(row_labels, column_labels, len(class_names)).ravel().tolist()
    pairs = [(row_name, column_name) for row_name in class_names for column_name in class_names]
    table = wandb.Table(
        columns=[*axis_names, "count"],
        data=[[*pair, count] for pair, count in zip(pairs, counts, strict=True)],
    )
    return wandb.plot_table(
        "wandb/confusion_matrix/v1",
        table,
        {"Actual": axis_names[0], "Predicted": axis_names[1], "nPredictions": "count"},
        {"title": f"{axis_names[1]} (columns) of each {axis_names[0]} (rows)"},
    )


def _thumbnail(picture: NDArray[np.uint8]) -> Any:
    """Return a `wandb.Image` of a picture (H, W, 3)."""
    import wandb

    image, side = Image.fromarray(picture), max(picture.shape)
    if side > _LARGE:
        image.thumbnail((_LARGE, _LARGE))
    elif (factor := _SMALL // side) > 1:
        image = image.resize(
            (image.width * factor, image.height * factor), Image.Resampling.NEAREST
        )
    return wandb.Image(image, file_type="jpg" if side > _SMALL else "png")


@contextmanager
def _wandb_data_in(folder: Path) -> Iterator[None]:
    """Let wandb keep the pictures of tables in the run's folder until they are sent.

    By default they are in the user's home, where they would be missing when an offline run is sent
    from another machine.
    """
    previous = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = previous or str(folder.absolute() / "wandb")
    try:
        yield
    finally:
        if previous is None:
            del os.environ["WANDB_DATA_DIR"]
