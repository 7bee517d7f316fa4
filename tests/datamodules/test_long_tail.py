from itertools import pairwise

import numpy as np
import pytest

from datamodules.long_tail import long_tail_counts, subsample

# What papers on long-tailed CIFAR report: (largest, classes, imbalance) -> size of the training set
SIZES = {
    (5000, 10, 10): 20431,
    (5000, 10, 50): 13996,
    (5000, 10, 100): 12406,
    (500, 100, 10): 19573,
    (500, 100, 50): 12608,
    (500, 100, 100): 10847,
}


def test_counts_of_cifar10_at_100():
    np.testing.assert_array_equal(
        long_tail_counts(5000, 10, 100), [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    )


@pytest.mark.parametrize("setting", SIZES)
def test_sizes_are_the_published_ones(setting):
    assert long_tail_counts(*setting).sum() == SIZES[setting]


@pytest.mark.parametrize(("largest", "num_classes"), [(5000, 10), (500, 100), (2500, 20)])
@pytest.mark.parametrize("mu", [0.005, 0.01, 0.02, 0.05, 0.1])
def test_counts_are_those_of_the_papers_factors(largest, num_classes, mu):
    expected = []
    for c in range(num_classes):
        expected.append(int(largest * mu ** (c / (num_classes - 1.0))))
    counts = long_tail_counts(largest, num_classes, 1 / mu)
    np.testing.assert_array_equal(counts, expected, strict=True)


def test_imbalance_1_keeps_everything():
    np.testing.assert_array_equal(long_tail_counts(7, 4, 1), [7, 7, 7, 7])


@pytest.mark.parametrize("size", [49, 98, 103, 107, 161, 187, 196, 197])
def test_rounding_takes_no_example(size):
    # For these, size * (1 / size) is a hair below 1.
    assert size * (1 / size) < 1
    assert long_tail_counts(size, 2, size).tolist() == [size, 1]


@pytest.mark.parametrize("imbalance", [0.5, 0, -1, float("nan"), float("inf"), True, "100", None])
def test_impossible_imbalance_is_refused(imbalance):
    with pytest.raises(ValueError, match=f"imbalance={imbalance} is not the ratio"):
        long_tail_counts(5000, 10, imbalance)


def test_an_empty_class_is_refused():
    with pytest.raises(ValueError, match=r"imbalance=501 leaves the last class .* at most 500"):
        long_tail_counts(500, 100, 501)


@pytest.mark.parametrize(("largest", "num_classes"), [(0, 10), (10, 1)])
def test_too_little_to_thin_is_refused(largest, num_classes):
    with pytest.raises(ValueError, match="at least 2 classes"):
        long_tail_counts(largest, num_classes, 2)


@pytest.fixture
def label():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(5), 100))


def test_thin_keeps_the_counts_in_order(label):
    counts = np.array([100, 50, 7, 1, 0])
    before = label.copy()
    rows = subsample(label, counts, np.random.default_rng(1))
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_array_equal(np.bincount(label[rows], minlength=5), counts)
    np.testing.assert_array_equal(label, before)
    assert rows.dtype == np.int64


def test_thin_takes_the_first_of_each_class_in_random_order(label):
    rng, expected = np.random.default_rng(2), []
    for true, count in enumerate([3, 0, 100, 2, 9]):
        members = [row for row in range(len(label)) if label[row] == true]
        expected += list(rng.permutation(members))[:count]
    rows = subsample(label, np.array([3, 0, 100, 2, 9]), np.random.default_rng(2))
    assert rows.tolist() == sorted(expected)


def test_a_larger_imbalance_keeps_a_subset(label):
    kept = [
        set(
            subsample(label, long_tail_counts(100, 5, imbalance), np.random.default_rng(3)).tolist()
        )
        for imbalance in (1, 2, 10, 50, 100)
    ]
    assert all(larger > smaller for larger, smaller in pairwise(kept))


def test_a_class_does_not_feel_the_others_counts(label):
    some, other = (
        subsample(label, np.array(counts), np.random.default_rng(4))
        for counts in ([100, 100, 20, 100, 100], [1, 0, 20, 3, 50])
    )
    np.testing.assert_array_equal(some[label[some] == 2], other[label[other] == 2])


def test_thin_is_a_function_of_its_generator(label):
    counts = long_tail_counts(100, 5, 10)
    once, again, other = (
        subsample(label, counts, np.random.default_rng(seed)) for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_every_example_is_as_likely_to_be_kept(label):
    rng, kept = np.random.default_rng(7), np.zeros(len(label))
    for _ in range(1000):
        kept[subsample(label, np.full(5, 30), rng)] += 1
    # 500 counts of 1000 draws at 0.3, standard deviation 14.5
    assert np.all(np.abs(kept - 300) < 6 * 14.5)


def test_a_class_that_is_too_small_is_named(label):
    with pytest.raises(ValueError, match="imbalance: class 2 has 100 examples and cannot keep 101"):
        subsample(label, np.array([100, 100, 101, 100, 200]), np.random.default_rng(0))


def test_a_negative_count_is_refused(label):
    with pytest.raises(ValueError, match="class 4 has 100 examples and cannot keep -1"):
        subsample(label, np.array([1, 1, 1, 1, -1]), np.random.default_rng(0))


def test_labels_without_a_count_are_refused(label):
    with pytest.raises(ValueError, match="labels up to 4, but counts for 4 classes"):
        subsample(label, np.full(4, 10), np.random.default_rng(0))
