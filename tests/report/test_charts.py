import re
from itertools import pairwise

import numpy as np
import pytest

from datamodules.batch import KNOWN_WRONG
from report.confusions import (
    TransitionCounts,
    count_transitions,
    frequent_changes,
    largest_flips,
    row_shares,
    transition_figures,
)
from report.curves import learning_curves
from report.distributions import detection_curve, trust, weights_over_time
from report.marks import SHADES, area, line, shade, thin_out
from report.report_data import WeightHistory
from report.svg import Axis, Frame, text_width
from tests.report.sample_data import audit

NUMBER = r"(-?[\d.]+)"


def frame():
    return Frame("a chart", Axis("x", 0, 10, []), Axis("y", 0, 2, []))


def drawn(of, kind):
    """Return the shapes of a class."""
    return [path.get("d") for path in of.root if (path.get("class") or "").startswith(kind)]


def as_value(of, at):
    """Return what value lies at a height: the inverse of `Frame.y`."""
    return 2 * (of.y(0) - at) / (of.y(0) - of.y(2))


def test_a_curve_goes_through_its_points():
    of = frame()
    points = [(0.0, 0.5), (2.5, 2.0), (10.0, 0.0)]
    line(of, points, "blue", marked=True)
    places = re.findall(rf"{NUMBER} {NUMBER}", drawn(of, "line")[0])
    for (x, y), (step, value) in zip(places, points, strict=True):
        assert (float(x) - of.left) / of.width * 10 == pytest.approx(step, abs=0.01)
        assert as_value(of, float(y)) == pytest.approx(value, abs=0.001)
    assert drawn(of, "mark")[0].count("M") == 3


def test_a_histogram_is_as_high_as_its_values():
    of = frame()
    area(of, [0, 1, 4, 10], [0.5, 2.0, 1.0], "blue")
    heights = [as_value(of, float(one)) for one in re.findall(rf"V{NUMBER}H", drawn(of, "area")[0])]
    assert heights == pytest.approx([0.5, 2.0, 1.0], abs=0.001)


def test_a_heat_map_has_the_shade_of_each_value():
    values = np.random.default_rng(0).choice([0, 0.001, 0.04, 0.25, 0.5, 1.0, 2.0], (7, 9))
    of = Frame("", Axis("", 0, 9, []), Axis("", 7, 0, []))
    shade(of, values, [*range(10)], [*range(8)], "blue", deepest=1.0)
    painted = np.zeros((7, 9))
    for path in of.root:
        if path.get("class") == "shade blue":
            boxes = re.findall(rf"M{NUMBER} {NUMBER}H{NUMBER}V{NUMBER}", path.get("d"))
            for left, top, right, bottom in np.array(boxes, dtype=float):
                first, end = (round((x - of.left) / of.width * 9) for x in (left, right))
                row, below = (round((y - of.top) / of.height * 7) for y in (top, bottom))
                assert below == row + 1
                assert not painted[row, first:end].any()
                painted[row, first:end] = float(path.get("fill-opacity")) / 0.75
    expected = np.sqrt(np.minimum(values, 1))
    assert np.abs(painted - expected).max() <= 0.5 / SHADES + 1e-3
    assert len(of.root) < SHADES + 10


def test_thinning_keeps_the_ends_and_leaves_out_what_is_no_number():
    curve = [(step, float(step)) for step in range(1000)]
    kept = thin_out([*curve[:500], (500, np.nan), *curve[501:]], most=10)
    assert kept[0] == (0, 0.0)
    assert kept[-1] == (999, 999.0)
    assert len(kept) == 10
    assert max(b[0] - a[0] for a, b in pairwise(kept)) <= 112
    assert thin_out(curve[:5], most=10) == curve[:5]


def test_curves_say_where_they_end():
    curve = [(10, 0.25), (20, 0.5)]
    metrics = {"test/acc": curve, "val/acc": curve, "meta/acc": curve, "train/acc": curve[:1]}
    (accuracy,) = learning_curves(metrics)
    assert [(key.name, key.value) for key in accuracy.keys] == [
        ("test", "50%"),
        ("val", "50%"),
        ("training, given labels", "25%"),
    ]
    assert learning_curves({"test/acc": [(10, np.nan)]}) == []


def test_trust_by_hand():
    figure = trust(
        audit(given=[0, 0, 0, 0], clean=[0, 0, 1, -1], trust=np.array([0.5, 0.9, 0.1, 0.3]))
    )
    assert [(key.name, key.value) for key in figure.keys] == [
        ("right labels", "2, median 0.70"),
        ("wrong labels", "1, median 0.10"),
        ("not known", "1, median 0.30"),
    ]
    (key,) = trust(audit(given=[0, 0])).keys
    assert key.name == "all labels"
    assert trust(audit(given=[])) is None


def test_found_by_hand():
    # in order of trust: right, wrong, wrong, right, right; one of unknown truth does not count
    figure = detection_curve(
        audit(
            given=[0] * 6,
            clean=[1, 1, 0, 0, -1, 0],
            trust=np.array([0.2, 0.3, 0.1, 0.8, 0.0, 0.9]),
        )
    )
    assert [key.value for key in figure.keys] == ["50% at 40%", "40% at 40%", "100% at 40%"]
    assert detection_curve(audit(given=[0, 0], clean=[0, 0])) is None
    assert detection_curve(audit(given=[0, 0])) is None


def test_weights_of_a_long_run_are_added_up():
    edges = [0.0, 0.1, 1.0, 10.0]
    counts = np.zeros((150, 3, 5), dtype=int)
    counts[:, 0, 1] = 30
    counts[:, 0, 0] = np.tile([0, 8, 22], 50)
    steps = [10 * (one + 1) for one in range(150)]
    (figure,) = weights_over_time(WeightHistory(edges, list(zip(steps, counts, strict=True))))
    assert figure.title == "Weights of right labels"
    assert "25% are 0 at the end" in figure.svg  # 150 become 50 of 3 each: 30 of 120
    assert list(figure.shades) == ["0%", "18.8%", "75%"]
    assert all(f">{tick}<" in figure.svg for tick in ("0", "0.1", "1", "10"))
    assert weights_over_time(None) == []


def test_weights_of_labels_nobody_knows():
    counts = np.array([[0, 0], [0, 0], [1, 2]])
    (figure,) = weights_over_time(WeightHistory([0.0], [(10, counts)]))
    assert figure.title == "Weights of all labels"
    counts[1] = 1
    titles = [one.title for one in weights_over_time(WeightHistory([0.0], [(10, counts)]))]
    assert titles == ["Weights of wrong labels", "Weights where nobody knows"]


def test_changes_by_hand():
    told = frequent_changes(
        audit(
            given=[0, 0, 0, 0, 1, 1],
            suggested=[1, 1, 1, 0, 0, 0],
            clean=[1, 0, -1, 0, -1, 1],
            trust=[0.1, 0.2, 0.49, 0.3, 0.4, 0.5],  # the last label is not doubted
        ),
        ["a", "b"],
    )
    assert told == [("a", "b", 3, 0.75, 0.5), ("b", "a", 1, 0.5, None)]


def test_shares_of_a_matrix():
    counts = np.array([[3, 1], [0, 0]])
    assert row_shares(counts).tolist() == [[0.75, 0.25], [0, 0]]


def test_transitions_are_of_what_is_known_and_of_what_is_believed():
    counts = count_transitions(
        audit(
            given=[0, 1, 1, 0],
            clean=[0, 0, -1, KNOWN_WRONG],
            suggested=[0, 0, 0, 1],
            trust=[0.9, 0.1, 0.8, 0.2],
        ),
        2,
    )
    assert counts.true.tolist() == [[1, 1], [0, 0]]
    assert counts.estimated.tolist() == [[1, 1], [1, 1]]


def test_matrices_have_numbers_where_there_is_room():
    names = [f"a class with a long name {one}" for one in range(10)]
    true = np.full((10, 10), 2) + np.diag([80] * 10)
    one, other = transition_figures(TransitionCounts(true, true * 3), names)
    assert one.svg.count(">82<") == other.svg.count(">82<") == 10
    assert one.svg.count(">2<") == 90
    none = np.zeros((10, 10))
    assert transition_figures(TransitionCounts(none, none), names) == []
    true[3:] = 0  # nobody has these classes
    (one,) = transition_figures(TransitionCounts(true, none), names)
    assert "82% of a class keep their label" in one.svg
    large = np.eye(100) + np.eye(100, k=1)
    (drawn_only,) = transition_figures(
        TransitionCounts(0 * large, large), [str(one) for one in range(100)]
    )
    assert ">50<" in drawn_only.svg  # a class's number
    assert "cell" not in drawn_only.svg
    larger = np.eye(101)
    assert (
        transition_figures(TransitionCounts(larger, larger), [str(one) for one in range(101)]) == []
    )


def test_flips_by_hand():
    names = [str(one) for one in range(20)]
    true, estimated = np.eye(20) * 8, np.eye(20) * 6
    true[3, 4], estimated[3, 4], estimated[7, 1] = 2, 4, 6
    both = TransitionCounts(true, estimated)
    assert largest_flips(both, names) == [("7", "1", 0.0, 0.5), ("3", "4", 0.2, 0.4)]
    unknown = TransitionCounts(np.zeros((20, 20)), estimated)
    assert largest_flips(unknown, names) == [("7", "1", None, 0.5), ("3", "4", None, 0.4)]
    few = TransitionCounts(*(one[:10, :10] for one in both))
    assert largest_flips(few, names[:10]) == []  # these can be read off the matrix


def test_wide_letters_count_twice():
    assert text_width("abc") == 3
    assert text_width("日本") == 4
