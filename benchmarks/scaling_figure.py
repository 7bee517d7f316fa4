"""The figure of `benchmarks/scaling.py`: what grows with what, beside a line that is linear."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from callbacks.figures import CYCLE, canvas, save

Lines = dict[str, dict[int, float]]  # name → value on the x axis → seconds

_MARKERS = "os^Dvp"


class Panel(NamedTuple):
    """One quantity that grows."""

    title: str
    over: str  # what is on the x axis
    lines: Mapping[str, Mapping[int, float]]
    whose: str = ""

    @property
    def values(self) -> list[int]:
        """Those on the x axis."""
        return list(next(iter(self.lines.values())))


def draw(panels: Sequence[Panel], path: Path) -> None:
    """Write a PNG file with four panels, both axes logarithmic."""
    figure, axes = canvas(2, 2, (4.7, 3.9))
    for axis, panel in zip([axis for line in axes for axis in line], panels, strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        values = panel.values
        for (name, line), colour, marker in zip(panel.lines.items(), CYCLE, _MARKERS, strict=False):
            style = {"marker": marker, "markersize": 5, "linewidth": 1.6, "color": colour}
            axis.plot(list(line), list(line.values()), label=name, **style)
            start = line[values[-1]] * values[0] / values[-1]
            linear = (start, line[values[-1]])
            axis.plot((values[0], values[-1]), linear, ":", color=colour, linewidth=1)
        axis.plot([], [], ":", color="0.4", linewidth=1, label="linear")
        axis.set_title(panel.title)
        axis.set_xlabel(panel.over)
        axis.set_ylabel("CPU seconds" + (f" {panel.whose}" if panel.whose else ""))
        axis.set_xticks(values, [_short(value) for value in values])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    save(figure, path)


def _short(value: int) -> str:
    for unit, name in ((1_000_000, "M"), (1000, "k")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return str(value)
