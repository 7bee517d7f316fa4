import numpy as np
import pytest
from scipy import stats

from datamodules.noise import (
    CIFAR10_FLIPS,
    DIGIT_FLIPS,
    corrupt,
    effective_rate,
    flip,
    next_in_superclass,
    transition_counts,
    uniform,
)
from tests.golden import load

DRAWS = [
    *[("uniform10", rate, hold) for rate in ("0.2", "0.4", "0.8", "0.95") for hold in ("0.02",)],
    ("uniform10", "0.4", "0"),
    ("uniform10", "0", "0.02"),
    ("uniform100", "0.4", "0.02"),
    ("uniform100", "0.8", "0.002"),
    ("asym10", "0.2", "0.02"),
    ("asym10", "0.4", "0.02"),
    ("asym10", "0.4", "0"),
]


@pytest.fixture(scope="module")
def golden():
    return load("case_H_label_noise")


def matrix(model: str, rate: float) -> np.ndarray:
    """Write T of the reference's noise cell by cell, without the code under test."""
    num_classes = 100 if model == "uniform100" else 10
    table = np.zeros((num_classes, num_classes))
    reference_flips = {9: 1, 2: 0, 3: 5, 5: 3, 4: 7}
    for true in range(num_classes):
        if model.startswith("uniform"):
            table[true] = rate / num_classes
            table[true, true] = 1 - rate * (num_classes - 1) / num_classes
        elif true in reference_flips:
            table[true, true] = 1 - rate
            table[true, reference_flips[true]] = rate
        else:
            table[true, true] = 1
    return table


def assert_drawn_from(counts: np.ndarray, table: np.ndarray) -> None:
    """Check all cells at 1e-9 each, then the whole at 1e-6; impossible cells must be empty."""
    per_class = counts.sum(1, keepdims=True)
    low, high = stats.binom.interval(1 - 1e-9, per_class, table)
    assert np.all((counts >= low) & (counts <= high))
    assert not counts[table == 0].any()
    expected = per_class * table
    cells = table > 0
    freedom = cells.sum() - len(table)
    if freedom:
        statistic = ((counts - expected)[cells] ** 2 / expected[cells]).sum()
        assert stats.chi2.sf(statistic, freedom) > 1e-6
        assert stats.chi2.cdf(statistic, freedom) > 1e-6


def ours(model: str, rate: float) -> np.ndarray:
    return (
        uniform(100 if model == "uniform100" else 10, rate)
        if model != "asym10"
        else flip(10, rate, CIFAR10_FLIPS)
    )


@pytest.mark.parametrize(("model", "rate", "hold"), DRAWS)
def test_reference_and_we_draw_from_the_same_matrix(golden, model, rate, hold):
    key = f"{model}/ratio{rate}/hold{hold}/npseed0"
    counts = golden[f"{key}/confusion_counts"].astype(np.int64)
    transition = ours(model, float(rate))
    np.testing.assert_allclose(transition, matrix(model, float(rate)), rtol=0, atol=1e-15)
    assert_drawn_from(counts, transition)

    clean = np.repeat(np.arange(len(counts)), golden[f"{key}/train_clean_class_counts"])
    given = corrupt(clean, transition, np.random.default_rng(0))
    assert_drawn_from(transition_counts(clean, given, len(counts)), transition)
    # Two independent binomials of the same rate: their difference has twice the variance.
    wrong = 1 - np.mean(np.diag(transition))
    spread = np.sqrt(2 * wrong * (1 - wrong) / len(clean))
    assert abs(effective_rate(clean, given) - golden[f"{key}/actual_noise_rate"]) <= 5 * spread


def test_reference_flips_the_same_classes(golden):
    sure = flip(10, 1 - 1e-12, CIFAR10_FLIPS).argmax(axis=1)
    np.testing.assert_array_equal(sure, golden["asym10/target_class_at_ratio1"])


def test_uniform_by_hand():
    np.testing.assert_allclose(
        uniform(4, 0.8), [[0.4 if i == j else 0.2 for j in range(4)] for i in range(4)]
    )


def test_flip_by_hand():
    np.testing.assert_allclose(
        flip(3, 0.25, {0: 2, 1: 0}), [[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0, 1]]
    )


def test_digit_flips_are_the_published_ones():
    assert dict(DIGIT_FLIPS) == {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}


def test_next_in_superclass_goes_round():
    assert next_in_superclass([1, 0, 1, 0, 1, 2]) == {0: 2, 2: 4, 4: 0, 1: 3, 3: 1, 5: 5}


def test_a_superclass_of_one_stays_clean():
    np.testing.assert_array_equal(flip(2, 0.4, {0: 0, 1: 1}), np.eye(2))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.2, float("nan")])
@pytest.mark.parametrize("model", [uniform, lambda c, r: flip(c, r, {0: 1})])
def test_impossible_rate_is_refused(model, rate):
    with pytest.raises(ValueError, match=r"noise=.* is not a rate"):
        model(10, rate)


class Fixed:
    """A generator whose uniform numbers are known."""

    def __init__(self, *values: float) -> None:
        self.values = np.array(values)

    def random(self, size: int) -> np.ndarray:
        assert size == len(self.values), "one number per example"
        return self.values


def test_corrupt_inverts_each_rows_distribution():
    transition = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.75, 0, 0.25]])
    label = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    draws = Fixed(0, 0.49, 0.5, 0.75, 0, 0.999, 0.74, 0.75, 0.999)
    np.testing.assert_array_equal(corrupt(label, transition, draws), [0, 0, 1, 2, 1, 1, 0, 2, 2])


def test_rounding_opens_no_gap():
    # Ten tenths add up to 1 - 1.1e-16, which is the largest number a generator can give.
    transition = np.eye(11)
    transition[0] = [0.1] * 10 + [0]
    assert np.cumsum(transition[0])[-1] < 1
    assert corrupt(np.array([0]), transition, Fixed(np.nextafter(1, 0))) == [9]


def test_corrupt_is_repeatable_and_leaves_its_input():
    label = np.arange(1000) % 10
    before = label.copy()
    once, again = (corrupt(label, uniform(10, 0.5), np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(label, before)
    assert once.dtype == np.int64
    assert once.min() >= 0
    assert once.max() <= 9


def test_no_noise_changes_nothing():
    label = np.arange(500) % 10
    np.testing.assert_array_equal(corrupt(label, uniform(10, 0), np.random.default_rng(0)), label)


def test_counts_by_hand():
    clean, given = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 1, 1])
    np.testing.assert_array_equal(
        transition_counts(clean, given, 3), [[1, 0, 1], [0, 1, 0], [0, 2, 0]]
    )
    assert effective_rate(clean, given) == 3 / 5
