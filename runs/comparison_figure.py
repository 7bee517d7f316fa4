"""The figure of a comparison: accuracy, and how well wrong labels were found, by noise rate."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

from datamodules.phrases import printable
from report.figures import CYCLE, canvas, save
from runs.settings import keys_given
from runs.table import natural_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEASURES = {
    "test/acc_last": "final test accuracy (fraction)",
    "noise/auroc": "wrong labels found (AUROC)",
}
_MARKERS = "osD^vP"
_LEGEND_TITLE = "line, bar: mean over seeds;  band: worst to best;  point: a seed"

Row = Mapping[str, Any]


class _Panel(NamedTuple):
    """One data set: over its noise rates or, if there is only one, over the compared methods."""

    title: str
    rates: list[float]
    runs: dict[str, list[Row]]

    @property
    def width(self) -> float:
        """In inches; wide enough for names side by side."""
        longest = max(
            len(line) for name in self.runs for line in _on_short_lines(name).splitlines()
        )
        beside = max(3.6, 0.7 + len(self.runs) * max(0.9, 0.15 + 0.068 * longest))
        return 4.6 if self.rates else beside


def draw_comparison(rows: Sequence[Row], path: str | Path) -> None:
    """Draw a column of panels for each data set: accuracy, and below it noise detection if known.

    Over several noise rates each method is a line; at one rate, or where noise is not drawn, the
    methods stand side by side.

    Args:
        rows: runs that count, with `dataset`, `noise`, `method`, `model`, `settings`, and what was
            measured.
        path: the PNG file to write.
    """
    named = _with_line_names(rows)
    names = sorted({name for name, _ in named}, key=_variants_last)
    # colours repeat after 6 names, but pairs of colour and marker only after 36
    line_styles = {
        name: (CYCLE[position % 6], _MARKERS[(position + position // 6) % 6])
        for position, name in enumerate(names)
    }
    panels = _panels(named)
    measures = [key for key in _MEASURES if any(row.get(key) is not None for row in rows)]
    widths = [panel.width for panel in panels]
    figure, axes = canvas(len(measures), len(panels), (1.0, 3.7), widths)
    for axes_of_measure, key in zip(axes, measures, strict=True):
        for axis, panel in zip(axes_of_measure, panels, strict=True):
            values = {name: _values(panel.runs[name], key) for name in names if name in panel.runs}
            if not any(values.values()):
                axis.set_axis_off()
            elif panel.rates:
                _draw_over_noise(axis, panel, values, line_styles)
            else:
                _draw_side_by_side(axis, values, line_styles)
            axis.set_ylim(top=min(axis.get_ylim()[1], 1.003))  # both are fractions
            if key == measures[0]:
                axis.set_title(panel.title)
        axes_of_measure[0].set_ylabel(_MEASURES[key])
    _add_legend(figure, axes[0])
    save(figure, path)


def _add_legend(figure: Any, axes: "Sequence[Axes]") -> None:
    """Add a legend below all panels, and the height that it takes."""
    handles = {
        fill(name, 60): handle
        for axis in axes
        for handle, name in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    names = sorted(handles, key=_variants_last)
    width, height = figure.get_size_inches()
    longest = max((len(line) for name in names for line in name.splitlines()), default=1)
    columns = max(1, min(len(names), int(width / (0.6 + 0.075 * longest))))
    lines = sum(name.count("\n") + 1 for name in names) / columns + 2
    figure.set_size_inches(width, height + 0.19 * lines)
    figure.legend(
        [handles[name] for name in names],
        names,
        title=fill(_LEGEND_TITLE, int(width / 0.07)),
        title_fontsize=8,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def _panels(named: Sequence[tuple[str, Row]]) -> list[_Panel]:
    """Return a panel for each data set, and one more if only some of its runs drew noise."""
    groups: dict[tuple[str, bool], list[tuple[str, Row]]] = {}
    for name, row in named:
        groups.setdefault((str(row["dataset"]), row["noise"] is None), []).append((name, row))
    panels = []
    for (dataset, no_noise_drawn), members in sorted(groups.items()):
        rates = sorted({row["noise"] for _, row in members if not no_noise_drawn})
        title = f"{dataset}, labels as given" if no_noise_drawn else dataset
        if len(rates) == 1:
            title = f"{dataset}, noise {rates[0]}"
        runs: dict[str, list[Row]] = {}
        for name, row in members:
            runs.setdefault(name, []).append(row)
        panels.append(_Panel(title, rates if len(rates) > 1 else [], runs))
    return panels


def _values(rows: Sequence[Row], key: str) -> dict[Any, list[float]]:
    """Return the seeds' values at each noise rate."""
    values: dict[Any, list[float]] = {}
    for row in sorted(rows, key=lambda row: natural_order(row["noise"])):
        if row.get(key) is not None:
            values.setdefault(row["noise"], []).append(float(row[key]))
    return values


def _draw_over_noise(
    axis: "Axes",
    panel: _Panel,
    values: Mapping[str, Mapping[float, list[float]]],
    line_styles: Mapping[str, tuple[str, str]],
) -> None:
    width = panel.rates[-1] - panel.rates[0]
    step = min(0.012, 0.05 / len(values)) * width
    for position, (name, seeds) in enumerate(values.items()):
        if not seeds:  # nothing to detect: no label is wrong
            continue
        colour, marker = line_styles[name]
        rates = list(seeds)
        means = [mean(seeds[rate]) for rate in rates]
        has_seeds = any(len(seeds[rate]) > 1 for rate in rates)
        bar = "_" if has_seeds else ""
        axis.plot(rates, means, marker=bar, markersize=12, markeredgewidth=1.5, color=colour)
        lowest, highest = [min(seeds[rate]) for rate in rates], [max(seeds[rate]) for rate in rates]
        axis.fill_between(rates, lowest, highest, color=colour, alpha=0.15, linewidth=0)
        # shifted, or the points of one method would hide another's
        shift = step * (position - (len(values) - 1) / 2) if has_seeds else 0.0
        points = [(rate + shift, value) for rate in rates for value in seeds[rate]]
        _draw_points(axis, points, colour, marker)
        axis.plot([], [], color=colour, marker=marker, markersize=5, label=name)
    axis.set_xticks(panel.rates)
    # the same in all panels of a data set, even where values are missing at a rate
    axis.set_xlim(panel.rates[0] - 0.05 * width, panel.rates[-1] + 0.05 * width)
    axis.set_xlabel("nominal noise rate (fraction)")


def _draw_side_by_side(
    axis: "Axes",
    values: Mapping[str, Mapping[Any, list[float]]],
    line_styles: Mapping[str, tuple[str, str]],
) -> None:
    for position, (name, seeds) in enumerate(values.items()):
        colour, marker = line_styles[name]
        for accuracies in seeds.values():
            axis.hlines(
                mean(accuracies), position - 0.3, position + 0.3, color=colour, linewidth=2.5
            )
            step = 0.3 / max(len(accuracies), 3)
            shifts = [
                step * (number - (len(accuracies) - 1) / 2) for number in range(len(accuracies))
            ]
            points = [(position + x, value) for x, value in zip(shifts, accuracies, strict=True)]
            _draw_points(axis, points, colour, marker)
    axis.set_xlim(-0.6, len(values) - 0.4)
    axis.set_xticks(range(len(values)), [_on_short_lines(name) for name in values])
    axis.tick_params(axis="x", labelsize=8, length=0)
    axis.grid(False, axis="x")


def _draw_points(
    axis: "Axes", points: Sequence[tuple[float, float]], colour: str, marker: str
) -> None:
    xs, ys = zip(*points, strict=True)
    axis.scatter(xs, ys, s=20, marker=marker, color=colour, alpha=0.75, linewidth=0, zorder=3)


def _variants_last(name: str) -> tuple[Any, ...]:
    """Return a sort key that gives the plain methods the first colours, before any variants."""
    return name.count(","), natural_order(name)


def _on_short_lines(name: str) -> str:
    """Return a name broken into short lines."""
    parts = name.replace(", ", " ").split()
    return "\n".join(part.replace("=", "=\n") if len(part) > 16 else part for part in parts)


def _with_line_names(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    """Return each run with its line's name, which omits the usual model of a data set.

    What is usual is decided as in `runs.comparison`; a model that all runs have is omitted too.
    """
    models: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in rows:
        models[row["dataset"]][row["model"]] += "model" not in keys_given(row.get("command"))
    named = []
    for row in rows:
        count = models[row["dataset"]]
        is_usual = len(count) == 1 or 2 * count[row["model"]] > count.total()
        model = "" if is_usual else row["model"]
        parts = (row["method"], model, row.get("settings", ""))
        named.append((printable(", ".join(str(part) for part in parts if part)), row))
    return named
