import re

import numpy as np
import pytest
from scipy import special, stats

from datamodules import instance_noise
from datamodules.feature_noise import estimate_posterior, feature_dependent
from datamodules.instance_noise import instance_dependent, pixel_features
from datamodules.noise import corrupt_rows


class Fixed:
    """A generator that gives known flip rates, in these portions, and known weights."""

    def __init__(self, *normal: list[float], weight: np.ndarray | None = None) -> None:
        self.normals = list(normal)
        self.weights = [] if weight is None else list(weight)

    def normal(self, mean: float, deviation: float, size: int) -> np.ndarray:
        assert deviation == 0.1
        portion = np.array(self.normals.pop(0))
        assert size == len(portion)
        return portion

    def standard_normal(self, shape: tuple[int, int]) -> np.ndarray:
        return self.weights.pop(0) if self.weights else np.zeros(shape)


def assert_rows(rows: np.ndarray) -> None:
    assert rows.dtype == np.float64
    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=0, atol=1e-14)


def examples(count: int, size: int, num_classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, size)).astype(np.float32)
    return features, rng.integers(num_classes, size=count)


def test_pixels_are_kept_as_they_are():
    image = np.arange(2 * 3 * 2 * 2, dtype=np.uint8).reshape(2, 3, 2, 2) * 11
    features = pixel_features(image)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, np.arange(24).reshape(2, 12) * 11)


@pytest.mark.parametrize(
    "image", [np.zeros((2, 3, 4, 4)), np.zeros((2, 48), np.uint8), np.zeros((3, 4, 4), np.uint8)]
)
def test_what_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match=r"give uint8 of shape \(N, 3, H, W\)"):
        pixel_features(image)


def test_instance_rows_by_hand():
    # Two features, three classes; only class 1 occurs, with the scores (log 3, -, log 1).
    weight = np.zeros((3, 2, 3))
    weight[1] = [[np.log(3), 50, 0], [7, 7, 7]]
    features = np.array([[1, 0], [1, 0], [2, 0], [0, -1e12]], dtype=np.float32)
    rng = Fixed([0.4, 0.0, 1.0, 0.5], weight=weight)
    rows = instance_dependent(features, np.array([1, 1, 1, 1]), 3, 0.4, rng)
    np.testing.assert_allclose(
        rows, [[0.3, 0.6, 0.1], [0, 1, 0], [0.9, 0, 0.1], [0.25, 0.5, 0.25]], atol=1e-15
    )


def test_instance_rows_equal_a_loop():
    features, label = examples(60, 5, 4)
    rng = np.random.default_rng(1)
    flip_rate, weight = rng.uniform(size=60), rng.normal(size=(4, 5, 4))
    rows = instance_dependent(features, label, 4, 0.5, Fixed(flip_rate, weight=weight))
    for i in range(60):
        others = [j for j in range(4) if j != label[i]]
        score = [sum(features[i, k] * weight[label[i], k, j] for k in range(5)) for j in others]
        np.testing.assert_allclose(
            rows[i, others], flip_rate[i] * special.softmax(score), rtol=1e-12
        )
        assert rows[i, label[i]] == 1 - flip_rate[i]
    assert_rows(rows)


def test_flip_rates_outside_are_drawn_again():
    rng = Fixed([0.5, -0.1, 1.2, 0.0, 1.0], [1.1, 0.25], [-2.0], [0.75])
    rows = instance_dependent(np.zeros((5, 1), np.float32), np.zeros(5, int), 2, 0.4, rng)
    np.testing.assert_array_equal(rows[:, 1], [0.5, 0.75, 0.25, 0, 1])


def cut_normal(rate: float):
    return stats.truncnorm(-rate / 0.1, (1 - rate) / 0.1, loc=rate, scale=0.1)


@pytest.mark.parametrize("rate", [1e-9, 0.1, 0.4, 0.95])
def test_flip_rates_follow_the_cut_normal_distribution(rate):
    label = np.zeros(20_000, dtype=np.int64)
    features = np.zeros((len(label), 1), np.float32)
    rows = instance_dependent(features, label, 3, rate, np.random.default_rng(2))
    assert stats.kstest(1 - rows[:, 0], cut_normal(rate).cdf).pvalue > 1e-6
    given = corrupt_rows(rows, np.random.default_rng(3))
    low, high = stats.binom.interval(1 - 1e-9, len(label), cut_normal(rate).mean())
    assert low <= np.count_nonzero(given) <= high


def test_the_stated_effective_rates():
    assert [round(cut_normal(rate).mean(), 2) for rate in (0, 0.1, 0.2)] == [0.08, 0.13, 0.21]


def test_rate_0_is_no_noise():
    features, label = examples(50, 4, 3)
    rows = instance_dependent(features, label, 3, 0, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, np.eye(3)[label])


def test_raw_pixels_leave_one_wrong_class():
    image = np.random.default_rng(0).integers(256, size=(40, 3, 8, 8), dtype=np.uint8)
    label = np.arange(40) % 4
    rows = instance_dependent(pixel_features(image), label, 4, 0.3, np.random.default_rng(1))
    assert_rows(rows)
    rows[np.arange(40), label] = 0
    assert np.mean(rows.max(axis=1) / rows.sum(axis=1)) > 0.99


def test_instance_rows_are_repeatable_whatever_the_chunks(monkeypatch):
    features, label = examples(50, 6, 3)
    before = features.copy()
    once = instance_dependent(features, label, 3, 0.4, np.random.default_rng(4))
    again = instance_dependent(features, label, 3, 0.4, np.random.default_rng(4))
    other = instance_dependent(features, label, 3, 0.4, np.random.default_rng(5))
    np.testing.assert_array_equal(once, again)
    assert not np.allclose(once, other)
    np.testing.assert_array_equal(features, before)
    monkeypatch.setattr(instance_noise, "CHUNK", 4)
    in_chunks = instance_dependent(features, label, 3, 0.4, np.random.default_rng(4))
    np.testing.assert_allclose(in_chunks, once, rtol=1e-12)


def test_where_an_example_flips_to_does_not_depend_on_its_place():
    def conditional(features, label):
        rows = instance_dependent(features, label, 5, 0.4, np.random.default_rng(6))
        rows[np.arange(len(label)), label] = 0
        return rows / rows.sum(axis=1, keepdims=True)

    features, label = examples(80, 6, 5)
    order = np.random.default_rng(7).permutation(80)
    np.testing.assert_allclose(
        conditional(features[order], label[order]), conditional(features, label)[order], rtol=1e-9
    )


@pytest.mark.parametrize("rate", [-0.1, 1, float("nan")])
def test_impossible_rate_is_refused(rate):
    features, label = examples(5, 3, 2)
    with pytest.raises(ValueError, match=r"noise=.* is not a rate"):
        instance_dependent(features, label, 2, rate, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"noise=.* is not a rate"):
        feature_dependent(np.full((5, 2), 0.5), label, rate, 1)


def bad(case: str):
    features, label = examples(6, 3, 3)
    num_classes = 3
    if case == "labels of shape (5,)":
        label = label[:5]
    elif case == "Features of shape (6,)":
        features = features[:, 0]
    elif case == "at least 2 classes, not 1":
        label, num_classes = np.zeros(6, int), 1
    elif case == "Labels go from -1 to":
        label = np.array([-1, 0, 1, 2, 0, 1])
    elif case == "to 3: give 0 to 2":
        label = np.array([3, 0, 1, 2, 0, 1])
    elif case == "not finite":
        features[5, 2] = np.nan
    return features, label, num_classes


@pytest.mark.parametrize(
    "case",
    [
        "labels of shape (5,)",
        "Features of shape (6,)",
        "at least 2 classes, not 1",
        "Labels go from -1 to",
        "to 3: give 0 to 2",
        "not finite",
    ],
)
def test_bad_examples_are_refused(case):
    with pytest.raises(ValueError, match=re.escape(case)):
        instance_dependent(*bad(case), 0.4, np.random.default_rng(0))
    with pytest.raises(ValueError, match=re.escape(case)):
        estimate_posterior(*bad(case), 0)
