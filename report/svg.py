"""Frames of charts as SVG: axes, grid, titles, and the mapping from values to places.

Colours come from the page's style by the class of each element, so the same chart serves light and
dark mode. Lengths are in units of the viewBox, about one pixel each on a narrow screen.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH, HEIGHT = 350, 250
_LETTER = 6.8  # approximate width of a letter of the labels


class Key(NamedTuple):
    """An entry of a legend."""

    colour: str  # a class of the page's style
    name: str
    value: str = ""


class Figure(NamedTuple):
    """A chart with its title and legend."""

    title: str
    svg: Markup
    keys: Sequence[Key] = ()
    shades: Sequence[str] = ()  # of a heat map: the values of no, half and the deepest shade
    colour: str = "blue"  # of the shades


class Axis(NamedTuple):
    """An axis from `low`, on the left or at the bottom, to `high`; `low` may be the larger."""

    title: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    slanted: bool = False  # tick labels are slanted, where they would overlap
    grid: bool = False


def text_width(text: str) -> int:
    """Return the width of a text in letters; wide ones, such as Chinese, count two."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def percent(share: float) -> str:
    """Return a share in per cent, for a tick or a legend."""
    return f"{100 * share:.3g}%"


def plain(number: float) -> str:
    """Return a number as text, for a tick or a legend."""
    return f"{number:.3g}"


def numbers(title: str, low: float, high: float, text: Callable[[float], str]) -> Axis:
    """Return a vertical axis that ends at round numbers around the given range.

    Args:
        title: what the numbers are, with their unit.
        low: the smallest number to show.
        high: the largest.
        text: writes a tick's number.
    """
    from matplotlib.ticker import MaxNLocator

    positions = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ticks = [(position, text(position)) for position in positions]
    return Axis(title, positions[0], positions[-1], ticks, grid=True)


def steps(last: int) -> Axis:
    """Return the horizontal axis of training steps, from 0 to the last."""
    from matplotlib.ticker import MaxNLocator

    positions = MaxNLocator(4, steps=[1, 2, 5, 10], integer=True).tick_values(0, max(last, 1))
    ticks = [(at, f"{at:,.0f}") for at in positions if at <= max(last, 1)]
    return Axis("training step", 0, max(last, 1), ticks)


class Frame:
    """An SVG with two axes, to draw into.

    Args:
        label: a description for screen readers.
        x: the horizontal axis.
        y: the vertical axis.
        square: whether the plot is as high as it is wide.
    """

    def __init__(self, label: str, x: Axis, y: Axis, square: bool = False) -> None:
        self._x, self._y = x, y
        longest = max((text_width(text) for _, text in y.ticks), default=0)
        self.left, self.top = 12 + longest * _LETTER, 26.0
        # half of the last tick label is to the right of the plot
        beyond = max([len(text) * _LETTER / 2 for at, text in x.ticks if at == x.high], default=0)
        self.width = WIDTH - self.left - max(12, beyond)
        below = max((text_width(text) for _, text in x.ticks), default=0) * _LETTER * 0.7
        bottom = 32 + below if x.slanted else 44.0
        self.height = self.width if square else HEIGHT - self.top - bottom
        end = self.top + self.height + bottom
        view_box = f"0 0 {WIDTH} {end:.0f}"
        self.root = ElementTree.Element(
            "svg", {"viewBox": view_box, "role": "img", "aria-label": label}
        )
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
        """Return the horizontal place of a value."""
        return self.left + self.width * (value - self._x.low) / (self._x.high - self._x.low)

    def y(self, value: float) -> float:
        """Return the vertical place of a value, from the top."""
        share = (value - self._y.low) / (self._y.high - self._y.low)
        return self.top + self.height * (1 - share)

    def path(self, shape: str, kind: str, **more: str) -> None:
        """Add a path of class `kind`."""
        ElementTree.SubElement(self.root, "path", {"d": shape, "class": kind, **more})

    def text(self, x: float, y: float, words: str, kind: str, turned: int = 0) -> None:
        """Add a text of class `kind`; `turned`: degrees, clockwise."""
        attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}
        if turned:
            attributes["transform"] = f"rotate({turned} {x:.1f} {y:.1f})"
        ElementTree.SubElement(self.root, "text", attributes).text = words

    @property
    def svg(self) -> Markup:
        """The chart as markup; its texts are escaped."""
        return Markup(ElementTree.tostring(self.root, encoding="unicode"))
