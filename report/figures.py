"""The figure of a run, as a PNG file.

Matplotlib is imported only when a figure is drawn, and without pyplot: neither a window system nor
global state is touched.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = list[tuple[int, float]]

# Okabe and Ito's colours, which colour-blind readers can tell apart
_BLUE, _ORANGE, _GREEN, _PURPLE, _YELLOW, _SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
)
CYCLE = (_BLUE, _ORANGE, _GREEN, _PURPLE, _YELLOW, _SKY)


def draw_run(
    metrics: Mapping[str, Curve],
    title: str,
    path: str | Path,
    *,
    trust: np.ndarray | None = None,
    wrong: np.ndarray | None = None,
) -> None:
    """Draw a run: accuracy, how well it detects noise, and what it trusts.

    Args:
        metrics: what `read_metrics` returns; missing curves are left out.
        title: names the run.
        path: the PNG file to write.
        trust: the trust score of training labels, `(N,)` in [0, 1], or None.
        wrong: which of these labels are wrong, `(N,)` bool, or None if unknown.
    """
    has_trust = trust is not None and len(trust) > 0
    figure, (axes,) = canvas(1, 3 if has_trust else 2, (4.6, 4.4))
    if title:
        figure.suptitle(title)
    _curves(
        axes[0],
        metrics,
        {
            "test/acc": ("test, averaged network", _BLUE),
            "val/acc": ("val, averaged network", _SKY),
            "train/acc": ("train, given labels", _ORANGE),
            "train/acc_clean": ("train, clean labels", _GREEN),
        },
    )
    axes[0].set(title="Accuracy", ylabel="accuracy (fraction)")
    beliefs = {
        "noise/auroc": ("trust so far, AUROC", _GREEN),
        "weight/auroc": ("example weight, AUROC", _BLUE),
        "pseudo/acc_wrong": ("pseudo-label accuracy\non wrong labels", _ORANGE),
    }
    if any(name in metrics for name in beliefs):
        _curves(axes[1], metrics, beliefs)
        axes[1].set(
            title="Noise detection", ylabel="AUROC, accuracy (fraction)", ylim=(-0.02, 1.02)
        )
    else:
        losses = {"train/loss": ("train", _ORANGE), "test/loss": ("test", _BLUE)}
        _curves(axes[1], metrics, losses)
        axes[1].set(title="Loss", ylabel="loss (nats)")
    if trust is not None and has_trust:
        _trust(axes[2], trust, wrong)
    save(figure, path)


def canvas(
    rows: int, columns: int, panel: tuple[float, float], widths: Sequence[float] | None = None
) -> tuple[Any, "list[list[Axes]]"]:
    """Return a figure and its panels by row; `panel`: size in inches; `widths`: relative ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    widths = widths or [1.0] * columns
    figure = Figure(figsize=(panel[0] * sum(widths), panel[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.set_axisbelow(True)
    return figure, [list(row) for row in axes]


def _curves(axis: "Axes", metrics: Mapping[str, Curve], styles: Mapping[str, Any]) -> None:
    from matplotlib.ticker import MaxNLocator

    for name, (label, colour) in styles.items():
        if curve := metrics.get(name):
            steps, values = zip(*curve, strict=True)
            above = 3 if name.startswith("test/") else 2
            # few points need marks; a thousand marks would hide the line
            marker = "o" if len(curve) <= 20 else ""
            axis.plot(
                steps,
                values,
                color=colour,
                label=label,
                marker=marker,
                markersize=3.5,
                zorder=above,
                linewidth=1.5,
            )
    axis.set_xlabel("training step")
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    _legend(axis)


def _trust(axis: "Axes", score: np.ndarray, wrong: np.ndarray | None) -> None:
    bins = np.linspace(0, 1, 41)
    groups = {"given labels": (np.ones(len(score), dtype=bool), _PURPLE)}
    if wrong is not None:
        groups = {"clean labels": (~wrong, _BLUE), "wrong labels": (wrong, _ORANGE)}
    for label, (group, colour) in groups.items():
        if group.any():
            share = np.full(group.sum(), 1 / group.sum())
            axis.hist(
                score[group], list(bins), weights=share, color=colour, alpha=0.55, label=label
            )
    axis.set(title="Trust", xlabel="trust score", ylabel="share of the group's labels (fraction)")
    _legend(axis)


def _legend(axis: "Axes") -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=1, frameon=False, fontsize=9
        )


def save(figure: Any, path: str | Path) -> None:
    """Write a PNG file; make its folder if needed."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
