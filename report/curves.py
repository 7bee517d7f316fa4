"""Charts over a run's steps: accuracies, how well wrong labels are found, weights, memory."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from report.marks import line, thin_out
from report.report_data import Curve
from report.svg import Figure, Frame, Key, numbers, percent, plain, steps

Styles = Mapping[str, tuple[str, str]]  # metric → (its name on the page, its colour)


class _Chart(NamedTuple):
    title: str
    unit: str
    text: Callable[[float], str]
    styles: Styles
    from_zero: bool = False


_FURTHER = ("sky", "purple", "yellow")  # colours of test sets beside the first
_ACCURACY: Styles = {
    "train/acc": ("training, given labels", "orange"),
    "train/acc_clean": ("training, true labels", "green"),
}
_NO_TEST_SET = ("train", "meta", "pseudo")

_NOISE = (
    _Chart(
        "Finding the wrong labels",
        "AUROC, average precision",
        plain,
        {
            "noise/auroc": ("trust so far, AUROC", "blue"),
            "noise/ap": ("trust so far, average precision", "green"),
            "weight/auroc": ("example weight, AUROC", "orange"),
        },
    ),
    _Chart(
        "Labels taken to be wrong",
        "share",
        percent,
        {
            "noise/precision": ("precision: really wrong", "blue"),
            "noise/recall": ("recall: wrong ones found", "orange"),
        },
    ),
    _Chart(
        "What became of the wrong labels",
        "share of the wrong labels",
        percent,
        {
            "noise/memorised": ("learnt by heart", "orange"),
            "noise/corrected": ("corrected", "blue"),
            "pseudo/acc_wrong": ("pseudo-label is right", "green"),
        },
    ),
    _Chart(
        "Calibration",
        "expected calibration error",
        percent,
        {"test/ece": ("test", "blue")},
        from_zero=True,
    ),
)

_WEIGHT = _Chart(
    "Mean weight",
    "mean example weight",
    plain,
    {
        "weight/clean_mean": ("right labels", "blue"),
        "weight/wrong_mean": ("wrong labels", "orange"),
    },
    from_zero=True,
)
_TRANSITION = _Chart(
    "Error of the estimate",
    "mean distance of the rows",
    percent,
    {"transition/error": ("estimated from true, total variation", "blue")},
    from_zero=True,
)
_MEMORY = _Chart("Memory", "GiB", plain, {"memory_bytes": ("in use", "blue")}, from_zero=True)

_MARKED = 25  # up to this many points of a curve are marked; more would hide it


def learning_curves(metrics: Mapping[str, Curve]) -> list[Figure]:
    """Return the charts of what a run learnt; those without data are left out."""
    charts = (_Chart("Accuracy", "accuracy", percent, _accuracies(metrics)), *_NOISE)
    return _draw_all(charts, metrics)


def mean_weights(metrics: Mapping[str, Curve]) -> list[Figure]:
    """Return the chart of the mean example weights, if there are any."""
    return _draw_all([_WEIGHT], metrics)


def transition_error(metrics: Mapping[str, Curve]) -> list[Figure]:
    """Return the chart of the estimated transition matrix's error, if it is known."""
    return _draw_all([_TRANSITION], metrics)


def memory(metrics: Mapping[str, Curve]) -> list[Figure]:
    """Return the chart of the memory in use, if it was measured."""
    in_gib = [(step, size / 2**30) for step, size in metrics.get("memory_bytes", [])]
    return _draw_all([_MEMORY], {"memory_bytes": in_gib})


def _accuracies(metrics: Mapping[str, Curve]) -> Styles:
    names = [name.removesuffix("/acc") for name in metrics if name.endswith("/acc")]
    further = sorted(name for name in names if name not in (*_NO_TEST_SET, "test"))
    others = {
        f"{name}/acc": (name, _FURTHER[position % len(_FURTHER)])
        for position, name in enumerate(further)
    }
    return {"test/acc": ("test", "blue"), **others, **_ACCURACY}


def _draw_all(charts: Iterable[_Chart], metrics: Mapping[str, Curve]) -> list[Figure]:
    return [figure for chart in charts if (figure := _draw(chart, metrics)) is not None]


def _draw(chart: _Chart, metrics: Mapping[str, Curve]) -> Figure | None:
    curves = {name: thin_out(metrics.get(name, [])) for name in chart.styles}
    curves = {name: curve for name, curve in curves.items() if curve}
    if not curves:
        return None
    values = [0.0] if chart.from_zero else []
    values += [value for curve in curves.values() for _, value in curve]
    last = max(curve[-1][0] for curve in curves.values())
    keys = [
        Key(colour, name, chart.text(curves[metric][-1][1]))
        for metric, (name, colour) in chart.styles.items()
        if metric in curves
    ]
    description = "; ".join(f"{key.name} {key.value}" for key in keys)
    y = numbers(chart.unit, min(values), max(values), chart.text)
    frame = Frame(f"{chart.title} by training step; at the end: {description}", steps(last), y)
    # the first curve matters most: drawn last, it lies on top
    for name in reversed(curves):
        line(frame, curves[name], chart.styles[name][1], marked=len(curves[name]) <= _MARKED)
    return Figure(chart.title, frame.svg, keys)
