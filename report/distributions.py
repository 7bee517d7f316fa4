"""Distributions: of trust at the end of a run, and of example weights over its steps."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit.record import Audit
from report.marks import area, line, shade
from report.report_data import WeightHistory
from report.svg import Axis, Figure, Frame, Key, numbers, percent, plain, steps

_BINS = 40
_POINTS = 250  # of a curve
_COLUMNS = 60  # at most, of a heat map over time

_RIGHT, _WRONG = ("right labels", "blue"), ("wrong labels", "orange")
_UNKNOWN, _ALL = ("not known", "purple"), ("all labels", "purple")
_QUARTER_TICKS = (0, 0.25, 0.5, 0.75, 1)


def trust(audit: Audit) -> Figure | None:
    """Return the histogram of trust, of right, wrong and unknown labels apart; None without any."""
    known, wrong = audit.known, audit.wrong
    groups = {_RIGHT: known & ~wrong, _WRONG: wrong, _UNKNOWN: ~known}
    if not known.any():
        groups = {_ALL: ~known}
    groups = {style: group for style, group in groups.items() if group.any()}
    if not groups:
        return None
    edges = np.linspace(0, 1, _BINS + 1)
    shares = {
        style: np.histogram(audit.trust[group], edges)[0] / group.sum()
        for style, group in groups.items()
    }
    keys = [
        Key(colour, name, f"{group.sum():,}, median {np.median(audit.trust[group]):.2f}")
        for (name, colour), group in groups.items()
    ]
    description = "; ".join(f"{key.name} {key.value}" for key in keys)
    x = Axis("trust in the given label", 0, 1, [(tick, plain(tick)) for tick in _QUARTER_TICKS])
    y = numbers("share of the group's labels", 0, max(map(np.max, shares.values())), percent)
    frame = Frame(f"How trust is spread: {description}", x, y)
    for (_, colour), share in shares.items():
        area(frame, edges.tolist(), share.tolist(), colour)
    return Figure("Trust at the end", frame.svg, keys)


def detection_curve(audit: Audit) -> Figure | None:
    """Return the chart of how many wrong labels one finds by checking the least trusted first.

    None if no truth is known, or if all or none of the known labels are wrong.
    """
    order = np.argsort(audit.trust[audit.known], kind="stable")
    wrong = audit.wrong[audit.known][order]
    if not 0 < wrong.sum() < len(wrong):
        return None
    share = float(wrong.mean())
    recall = np.concatenate([[0], wrong.cumsum()]) / wrong.sum()
    # share of the wrong labels found by checking as many labels as are wrong
    recall_at_share = float(recall[wrong.sum()])
    keys = [
        Key(colour, name, f"{percent(value)} at {percent(share)}")
        for colour, name, value in (
            ("blue", "least trusted first", recall_at_share),
            ("orange", "in any order", share),
            ("green", "at best", 1.0),
        )
    ]
    quarters = [(tick, percent(tick)) for tick in _QUARTER_TICKS]
    x = Axis("labels looked through", 0, 1, quarters)
    y = Axis("wrong labels found", 0, 1, quarters, grid=True)
    description = "; ".join(f"{key.name} {key.value}" for key in keys)
    frame = Frame(f"Wrong labels found by looking: {description}", x, y)
    line(frame, [(0, 0), (share, 1), (1, 1)], "green")
    line(frame, [(0, 0), (1, 1)], "orange")
    counts_checked = np.linspace(0, len(wrong), _POINTS).astype(int)
    line(
        frame,
        [(float(count / len(wrong)), float(recall[count])) for count in counts_checked],
        "blue",
    )
    return Figure("Found by looking through", frame.svg, keys)


def weights_over_time(weights: WeightHistory | None) -> list[Figure]:
    """Return a heat map for each group of labels: the distribution of its weights over the run."""
    if weights is None or not weights.counts:
        return []
    last_steps, counts = _merge_neighbours(weights)  # (T,), (T, 3, bins)
    sizes = counts.sum(axis=2, keepdims=True)
    shares = counts / np.maximum(sizes, 1)
    styles = [_RIGHT, _WRONG, _UNKNOWN]
    if not sizes[:, :2].any():
        styles[2] = _ALL
    deepest = float(shares.max())
    figures = []
    for group, (name, colour) in enumerate(styles):
        if not sizes[:, group].any():
            continue
        bins = counts.shape[2]
        y = Axis("example weight", 0, bins, _weight_ticks(weights.edges))
        zero = percent(float(shares[-1, group, 0]))
        title = f"Weights of {name}" if name != _UNKNOWN[0] else "Weights where nobody knows"
        frame = Frame(
            f"{title}, by training step; {zero} are 0 at the end", steps(last_steps[-1]), y
        )
        shade(frame, shares[:, group].T, [0, *last_steps], [*range(bins + 1)], colour, deepest)
        key = [percent(share) for share in (0, deepest / 4, deepest)]
        figures.append(Figure(title, frame.svg, shades=key, colour=colour))
    return figures


def _merge_neighbours(weights: WeightHistory) -> tuple[list[int], NDArray[np.float64]]:
    """Return the history, neighbouring entries added up to at most `_COLUMNS` of them."""
    steps_, counts = zip(*weights.counts, strict=True)
    group_size = -(-len(steps_) // _COLUMNS)
    table = np.stack([np.asarray(entry, dtype=np.float64) for entry in counts])
    firsts = range(0, len(steps_), group_size)
    merged = np.add.reduceat(table, list(firsts), axis=0)
    return [int(steps_[min(first + group_size, len(steps_)) - 1]) for first in firsts], merged


def _weight_ticks(edges: Sequence[float]) -> list[tuple[float, str]]:
    """Return ticks for zero and the powers of ten; bin k lies between k and k + 1."""
    logs = np.log10(edges[1:])
    if not len(logs):
        return [(0.5, "0")]
    powers = np.arange(np.ceil(logs[0] - 1e-6), logs[-1] + 1e-6)
    positions = np.interp(powers, logs, np.arange(len(logs)) + 2.0)
    ticks = [
        (float(position), plain(10.0**power))
        for position, power in zip(positions, powers, strict=True)
    ]
    return [(0.5, "0"), *ticks]
