"""Frames of charts, as SVG: axes, grid, names, and where a value lies between them.

A mark's class says what it is, and the page's style gives it its colour: the same chart is seen in
light and in dark. Lengths are the chart's own units; a narrow screen shows it about one to one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH, HEIGHT = 350, 250
_LETTER = 6.8  # width of a letter of the labels, about


class Key(NamedTuple):
    """An entry of a legend."""

    colour: str  # a class of the page's style
    name: str
    value: str = ""


class Figure(NamedTuple):
    """A chart and what stands around it."""

    title: str
    svg: Markup
    keys: Sequence[Key] = ()
    shades: Sequence[str] = ()  # of a heat map: what no, half and the deepest shade mean
    colour: str = "blue"  # of the shades


class Axis(NamedTuple):
    """What runs from `low`, left or at the bottom, to `high`."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    slanted: bool = False  # its names would run into one another
    grid: bool = False


def letters(text: str) -> int:
    """Return how wide a text is, in letters; such as Chinese and Japanese ones count two."""
    return sum(2 if east_asian_width(one) in "WF" else 1 for one in text)


def percent(share: float) -> str:
    """Return a share as a tick or a legend says it."""
    return f"{100 * share:.3g}%"


def plain(number: float) -> str:
    """Return a number as a tick or a legend says it."""
    return f"{number:.3g}"


def numbers(title: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """Return a vertical axis that ends at round numbers around what it is to show.

    Args:
        title: what the numbers are, with their unit.
        low: the smallest.
        high: the largest.
        text: how a number is written.
    """
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ticks = [(place, text(place)) for place in places]
    return Axis(title, places[0], places[-1], ticks, grid=True)


def steps(last: int) -> Axis:
    """Return the horizontal axis of training steps, from 0 to the last."""
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(4, steps=[1, 2, 5, 10], integer=True).tick_values(0, max(last, 1))
    ticks = [(place, f"{place:,.0f}") for place in places if place <= max(last, 1)]
    return Axis("training step", 0, max(last, 1), ticks)


class Frame:
    """An SVG with two axes, to be drawn into.

    Args:
        label: what a listener is told instead.
        x: the horizontal axis.
        y: the vertical one.
        square: the plot is as high as it is wide.
    """

    def __init__(self, label: str, x: Axis, y: Axis, square: bool = False) -> None:
        self._x, self._y = x, y
        longest = max((letters(text) for _, text in y.ticks), default=0)
        self.left, self.top = 12 + longest * _LETTER, 26.0
        # half of the last label stands beyond the plot
        beyond = max([len(text) * _LETTER / 2 for at, text in x.ticks if at == x.high], default=0)
        self.width = WIDTH - self.left - max(12, beyond)
        below = max((letters(text) for _, text in x.ticks), default=0) * _LETTER * 0.7
        bottom = 32 + below if x.slanted else 44.0
        self.height = self.width if square else HEIGHT - self.top - bottom
        end = self.top + self.height + bottom
        box = f"0 0 {WIDTH} {end:.0f}"
        self.root = ElementTree.Element("svg", {"viewBox": box, "role": "img", "aria-label": label})
        self._draw(end)

    def _draw(self, end: float) -> None:
        right, floor = self.left + self.width, self.top + self.height
        self.text(2, 12, self._y.title, "axis")
        self.text(self.left + self.width / 2, end - 5, self._x.title, "axis middle")
        for value, label in self._y.ticks:
            y = self.y(value)
            if self._y.grid:
                self.path(f"M{self.left:.1f} {y:.1f}H{right:.1f}", "grid")
            self.text(self.left - 6, y + 4, label, "tick end")
        for value, label in self._x.ticks:
            x = self.x(value)
            if self._x.slanted:
                self.text(x + 4, floor + 12, label, "tick end", turned=-40)
            else:
                self.text(x, floor + 17, label, "tick middle")
        self.path(f"M{self.left:.1f} {floor:.1f}H{right:.1f}", "floor")

    def x(self, value: float) -> float:
        """Return where a value lies from left to right."""
        return self.left + self.width * (value - self._x.low) / (self._x.high - self._x.low)

    def y(self, value: float) -> float:
        """Return where a value lies from top to bottom."""
        share = (value - self._y.low) / (self._y.high - self._y.low)
        return self.top + self.height * (1 - share)

    def path(self, shape: str, kind: str, **more: str) -> None:
        """Add a path of a class."""
        ElementTree.SubElement(self.root, "path", {"d": shape, "class": kind, **more})

    def text(self, x: float, y: float, words: str, kind: str, turned: int = 0) -> None:
        """Add words of a class."""
        place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}
        if turned:
            place["transform"] = f"rotate({turned} {x:.1f} {y:.1f})"
        ElementTree.SubElement(self.root, "text", place).text = words

    @property
    def svg(self) -> Markup:
        """What was drawn, escaped."""
        return Markup(ElementTree.tostring(self.root, encoding="unicode"))
