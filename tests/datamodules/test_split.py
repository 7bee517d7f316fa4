import numpy as np
import pytest

from datamodules.split import check_probe_per_class, draw_probe, interleave_classes
from tests.golden import load

UNEVEN = np.array([0] * 7 + [1] * 5 + [2] * 9)


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("hold", ["0.02", "0.002"])
def test_probe_has_the_references_sizes_and_order(num_classes, hold):
    golden = load("case_H_label_noise")
    key = f"uniform{num_classes}/ratio0.4/hold{hold}/npseed0"
    label = np.arange(50_000) % num_classes
    per_class = int(golden[f"{key}/probe_class_counts"][0])
    rows = draw_probe(label, per_class, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(label[rows]), golden[f"{key}/probe_class_counts"])
    order = golden[f"{key}/probe_label_order"]
    np.testing.assert_array_equal(label[rows][: len(order)], order)
    assert len(rows) == golden[f"{key}/probe_size"]
    assert len(label) - len(set(rows)) == golden[f"{key}/train_size"]


def test_probe_is_drawn_at_random_within_classes():
    label = np.arange(4000) % 4
    once, again, other = (draw_probe(label, 100, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert len(set(once) & set(other)) < 70  # 40 are expected, give or take 6
    assert len(set(once)) == 400
    assert np.any(np.diff(once[::4]) < 0), "sorted rows would make the first ones special"
    # The mean of 400 rows out of 4,000 has a standard deviation of 55.
    assert abs(once.mean() - 2000) < 5 * 55


def test_empty_probe():
    assert draw_probe(UNEVEN, 0, np.random.default_rng(0)).shape == (0,)
    nothing_known = np.full(5, -1)
    assert draw_probe(nothing_known, 0, np.random.default_rng(0)).shape == (0,)


def test_largest_probe_leaves_one_of_the_smallest_class():
    assert len(draw_probe(UNEVEN, 4, np.random.default_rng(0))) == 12
    check_probe_per_class(4, smallest_class=5)
    with pytest.raises(ValueError, match=r"probe_per_class=5 .* give 0 to 4\."):
        check_probe_per_class(5, smallest_class=5)
    with pytest.raises(ValueError, match="probe_per_class=-1"):
        check_probe_per_class(-1, smallest_class=5)


def test_probe_is_drawn_from_candidates_only():
    may = np.arange(len(UNEVEN)) % 2 == 0
    rows = draw_probe(UNEVEN, 2, np.random.default_rng(0), may)
    assert may[rows].all()
    np.testing.assert_array_equal(UNEVEN[rows], [0, 1, 2, 0, 1, 2])


def test_classes_take_turns_as_far_as_they_last():
    label = np.array([2, 2, 0, 1, 2, 0, 1, 1])
    rows = interleave_classes(np.arange(8), label)
    np.testing.assert_array_equal(rows, [2, 3, 0, 5, 6, 1, 7, 4])
    np.testing.assert_array_equal(interleave_classes(np.array([4, 7, 0]), label), [7, 4, 0])
    assert len(interleave_classes(np.array([], dtype=np.int64), label)) == 0
