"""What is drawn into a chart's frame: curves, histograms, heat maps."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from report.svg import Frame

# Shades of a heat map, and the opacity of the deepest, on which text can still be read.
SHADES, DEEPEST = 16, 0.75


def line(
    frame: Frame, points: Sequence[tuple[float, float]], colour: str, marked: bool = False
) -> None:
    """Draw a curve; `marked`: with its points."""
    points_text = [f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in points]
    frame.path("M" + "L".join(points_text), f"line {colour}")
    if marked:
        frame.path("".join(f"M{point}h0" for point in points_text), f"mark {colour}")


def thin_out(curve: Iterable[tuple[int, float]], most: int = 250) -> list[tuple[int, float]]:
    """Return the finite points of a curve, at most `most` of them: evenly, with both ends."""
    points = [(step, value) for step, value in curve if math.isfinite(value)]
    if len(points) <= most:
        return points
    return [points[round(position)] for position in np.linspace(0, len(points) - 1, most)]


def area(frame: Frame, edges: Sequence[float], values: Sequence[float], colour: str) -> None:
    """Draw a histogram as one outline above 0."""
    outline = f"M{frame.x(edges[0]):.1f} {frame.y(0):.1f}"
    for value, right in zip(values, edges[1:], strict=True):
        outline += f"V{frame.y(value):.1f}H{frame.x(right):.1f}"
    frame.path(f"{outline}V{frame.y(0):.1f}", f"area {colour}")


def shade(
    frame: Frame,
    values: NDArray[np.float64],
    x_edges: Sequence[float],
    y_edges: Sequence[float],
    colour: str,
    deepest: float,
) -> None:
    """Draw a heat map with one path per shade; equal neighbours in a row are one rectangle.

    The shade is the square root of the value, so that small values can be seen.

    Args:
        frame: where to draw.
        values: (R, S), not negative.
        x_edges: (S + 1,) where the columns begin and end.
        y_edges: (R + 1,) where the rows begin and end.
        colour: a class of the page's style.
        deepest: the value that has the deepest shade.
    """
    shapes: dict[int, list[str]] = {}
    levels = np.rint(np.sqrt(np.clip(values / deepest, 0, 1)) * SHADES).astype(int)
    for row, (upper, lower) in zip(levels, pairwise(y_edges), strict=True):
        top, bottom = frame.y(upper), frame.y(lower)
        changes = [0, *(np.flatnonzero(np.diff(row)) + 1).tolist(), len(row)]
        for first, end in pairwise(changes):
            if level := int(row[first]):
                left, right = frame.x(x_edges[first]), frame.x(x_edges[end])
                box = f"M{left:.1f} {top:.1f}H{right:.1f}V{bottom:.1f}H{left:.1f}z"
                shapes.setdefault(level, []).append(box)
    for level, boxes in sorted(shapes.items()):
        opacity = f"{DEEPEST * level / SHADES:.3f}"
        frame.path("".join(boxes), f"shade {colour}", **{"fill-opacity": opacity})
