"""What the page of a run is made from: plain data, from the run itself or from its files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from audit.record import Audit

Curve = list[tuple[int, float]]

# Rows of a list, (B,) int64 → their pictures, (B, 3, H, W) uint8, as from `Images.for_evaluation`;
# called for the few that are shown.
Pictures = Callable[[Tensor], Tensor]


class UncheckedTests(NamedTuple):
    """Test labels that nobody checked."""

    audit: Audit  # its index is the test set's row
    pictures: Pictures  # of rows of the test set
    files: Sequence[str]  # path of each row of the test set


class WeightHistory(NamedTuple):
    """Histograms of the example weights, one entry per evaluation.

    Bin 0 holds the weights that are zero, bin k those in (edges[k - 1], edges[k]], the last bin
    those above `edges[-1]`.
    """

    edges: Sequence[float]  # (bins - 1,), ascending from 0
    # the step, and (3, bins) counts since the previous entry: of right labels, of wrong ones, and
    # of those of unknown truth
    counts: Sequence[tuple[int, Any]]


class ReportData(NamedTuple):
    """All that the page of a run is made from. C is the number of classes."""

    results: Mapping[str, Any]  # `results.json`; any key may be missing or None
    metrics: Mapping[str, Curve]  # as `read_metrics` returns them; any may be missing
    audit: Audit  # of the audited examples; perhaps none
    class_names: Sequence[str]  # of the C classes
    command: str  # what runs it again
    settings: Mapping[str, Any]  # the resolved config
    next_steps: Sequence[tuple[str, str]] = ()  # what can be done next: purpose and command
    # rows of the training list → their pictures; called once; None: not available
    pictures: Pictures | None = None
    files: Sequence[str] | None = None  # path of each row of the training list, if it has files
    weights: WeightHistory | None = None
    tested: UncheckedTests | None = None  # test labels that nobody checked, if any were judged
