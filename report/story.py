"""What is told of a run: plain data, at the end of it or out of an old run's files alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from audit.record import Audit

Curve = list[tuple[int, float]]


class WeightHistory(NamedTuple):
    """How the example weights were spread, evaluation after evaluation.

    Bin 0 holds the weights that are zero, bin k those in (edges[k - 1], edges[k]], the last bin
    those above `edges[-1]`.
    """

    edges: Sequence[float]  # (bins - 1,), ascending from 0
    # after which step, and (3, bins) counts since the entry before: of labels that are right, that
    # are wrong, and of which nobody knows
    counts: Sequence[tuple[int, Any]]


class Story(NamedTuple):
    """All that the page of a run is made from. C is the number of classes."""

    results: Mapping[str, Any]  # `results.json`; any key may be missing or None
    metrics: Mapping[str, Curve]  # as `read_metrics` returns them; any may be missing
    audit: Audit  # a row a visited example; perhaps none
    class_names: Sequence[str]  # of the C classes
    command: str  # what does this run again
    settings: Mapping[str, Any]  # the resolved config
    next_steps: Sequence[tuple[str, str]] = ()  # what can be done next: what for, and the command
    # rows of the training list, (B,) int64 → their pictures, (B, 3, H, W) uint8, as `Images.plain`;
    # asked once, for the few that are shown; None: the pictures are not at hand
    pictures: Callable[[Tensor], Tensor] | None = None
    files: Sequence[str] | None = None  # path of each row of the training list
    weights: WeightHistory | None = None
