"""The figure of `benchmarks/scaling.py`: how costs grow, compared with linear growth."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from report.figures import CYCLE, canvas, save

Lines = dict[str, dict[int, float]]  # name → value on the x axis → seconds

_MARKERS = "os^Dvp"
_LINEAR_TICKS = (1, 2, 4, 8, 16)  # ticks, if linear growth is no larger


class Panel(NamedTuple):
    """Costs as functions of one quantity."""

    title: str
    over: str  # the quantity on the x axis
    lines: Mapping[str, Mapping[int, float]]

    @property
    def values(self) -> list[int]:
        """The quantity's values, on the x axis."""
        return list(next(iter(self.lines.values())))


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Write a PNG file of four log-log panels; each line is relative to its first point."""
    figure, axes = canvas(2, 2, (4.7, 4.0))
    for axis, panel in zip([axis for line in axes for axis in line], panels, strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        values = panel.values
        linear = [value / values[0] for value in values]
        axis.plot(values, linear, ":", color="0.3", linewidth=1.5, label="linear")
        for (name, line), colour, marker in zip(panel.lines.items(), CYCLE, _MARKERS, strict=False):
            first = line[values[0]]
            axis.plot(
                values,
                [line[value] / first for value in values],
                marker=marker,
                markersize=5,
                linewidth=1.6,
                color=colour,
                label=f"{name} ({_duration_text(first)})",
            )
        axis.set_title(panel.title)
        axis.set_xlabel(panel.over)
        axis.set_ylabel(f"CPU time, times that at {_with_unit(values[0])}")
        axis.set_xticks(values, [_with_unit(value) for value in values])
        if linear[-1] <= _LINEAR_TICKS[-1]:
            axis.set_yticks(_LINEAR_TICKS, [str(tick) for tick in _LINEAR_TICKS])
            axis.set_ylim(0.85, 1.5 * linear[-1])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8.5, loc="upper left")
    save(figure, path)


def _with_unit(value: int) -> str:
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return str(value)


def _duration_text(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
