import re

import numpy as np
import pytest
from scipy import stats

from datamodules.noise import (
    CIFAR10_FLIPS,
    DIGIT_FLIPS,
    asymmetric,
    corrupt,
    corrupt_rows,
    effective_rate,
    next_in_superclass,
    pair_flip,
    rows_by_class,
    transition_counts,
    uniform,
    uniform_other,
)
from datamodules.transition_file import check_transition, normalised_rows, read_transition
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
        else asymmetric(10, rate, CIFAR10_FLIPS)
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
    sure = asymmetric(10, 1 - 1e-12, CIFAR10_FLIPS).argmax(axis=1)
    np.testing.assert_array_equal(sure, golden["asym10/target_class_at_ratio1"])


def test_uniform_by_hand():
    np.testing.assert_allclose(
        uniform(4, 0.8), [[0.4 if i == j else 0.2 for j in range(4)] for i in range(4)]
    )


def test_flip_by_hand():
    np.testing.assert_allclose(
        asymmetric(3, 0.25, {0: 2, 1: 0}), [[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0, 1]]
    )


def test_uniform_other_by_hand():
    np.testing.assert_allclose(
        uniform_other(4, 0.6), [[0.4 if i == j else 0.2 for j in range(4)] for i in range(4)]
    )


@pytest.mark.parametrize("rate", [0, 0.3, 0.8])
def test_the_two_uniform_dialects_differ_in_the_rate_only(rate):
    np.testing.assert_allclose(uniform(5, rate), uniform_other(5, rate * 4 / 5), atol=1e-15)


def test_at_nine_tenths_ten_classes_say_nothing():
    np.testing.assert_allclose(uniform_other(10, 0.9), np.full((10, 10), 0.1))


def test_pair_flip_by_hand():
    np.testing.assert_allclose(
        pair_flip(3, 0.45), [[0.55, 0.45, 0], [0, 0.55, 0.45], [0.45, 0, 0.55]]
    )


def test_digit_flips_are_the_published_ones():
    assert dict(DIGIT_FLIPS) == {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}


def test_next_in_superclass_goes_round():
    assert next_in_superclass([1, 0, 1, 0, 1, 2]) == {0: 2, 2: 4, 4: 0, 1: 3, 3: 1, 5: 5}


def test_a_superclass_of_one_stays_clean():
    np.testing.assert_array_equal(asymmetric(2, 0.4, {0: 0, 1: 1}), np.eye(2))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.2, float("nan")])
@pytest.mark.parametrize(
    "model", [uniform, uniform_other, pair_flip, lambda c, r: asymmetric(c, r, {0: 1})]
)
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


def test_rows_by_class_are_those_that_a_search_for_each_finds():
    label = np.random.default_rng(0).integers(-2, 9, 200)
    label[label == 3] = 4  # a class of nobody, and labels that are no class at either end
    found = rows_by_class(label, 7)
    for true, rows in enumerate(found):
        np.testing.assert_array_equal(rows, np.flatnonzero(label == true))
    assert len(found) == 7


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


GIVEN = [[0.9, 0.1, 0], [0.25, 0.5, 0.25], [0, 0, 1]]


def test_a_given_matrix_is_kept():
    for matrix in (GIVEN, tuple(GIVEN), np.array(GIVEN, order="F")):
        np.testing.assert_array_equal(check_transition(matrix, 3), GIVEN)
    assert check_transition(np.eye(3, dtype=np.int8), 3).dtype == np.float64


def test_a_given_matrix_of_rounded_numbers_is_normalised():
    given = np.array([[0.3333333, 0.3333333, 0.3333333], [0.5, 0.25, 0.25], [0.1, 0.2, 0.7000005]])
    before = given.copy()
    transition = check_transition(given, 3)
    np.testing.assert_allclose(transition.sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_allclose(transition[0], 1 / 3, rtol=1e-15)
    np.testing.assert_allclose(transition[2], given[2] / 1.0000005, rtol=1e-15)
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (-0.1, "row 1, counted from 0, has an impossible entry"),
        (float("nan"), "row 1, counted from 0, has an impossible entry"),
        (float("inf"), "row 1, counted from 0, has an impossible entry"),
        (0.250002, "row 1, counted from 0, sums to 1.000002"),
        (0.249998, "row 1, counted from 0, sums to 0.999998"),
    ],
)
def test_the_first_wrong_row_is_named(entry, fault):
    matrix = np.array(GIVEN)
    matrix[1, 0] = entry
    matrix[2] = 0
    with pytest.raises(ValueError, match=f"noise_matrix: {re.escape(fault)}; give"):
        check_transition(matrix, 3)


def test_a_negative_entry_is_refused_though_the_row_sums_to_one():
    with pytest.raises(ValueError, match="these: row 0, counted from 0, has an impossible entry"):
        normalised_rows(np.array([[1.5, -0.5]]), "these")


@pytest.mark.parametrize(
    ("matrix", "what"),
    [
        (np.full((2, 3), 1 / 3), r"float64 of shape \(2, 3\)"),
        (np.full((3, 4), 1 / 4), r"float64 of shape \(3, 4\)"),
        (np.ones(3) / 3, r"float64 of shape \(3,\)"),
        (np.eye(3, dtype=complex), "complex128 of shape"),
        (np.eye(3, dtype=bool), "bool of shape"),
        ([["1", "0", "0"]] * 3, "<U1 of shape"),
        ([[1, 0, 0], [0, 1], [0, 0, 1]], "no table"),
        ([], "no table"),
    ],
)
def test_what_is_no_matrix_of_the_classes_is_refused(matrix, what):
    with pytest.raises(ValueError, match=f"noise_matrix is {what}.*: give 3 rows"):
        check_transition(matrix, 3)


def test_a_matrix_is_read_from_text_and_from_an_array(tmp_path):
    text = "\ufeff0.9, 0.1,0\r\n0.25,.5,2.5e-1\n\n0,0,1\n"
    (tmp_path / "given.csv").write_text(text, encoding="utf-8")
    np.save(tmp_path / "given.npy", np.array(GIVEN, dtype=np.float32))
    (tmp_path / "given.npy").rename(tmp_path / "given.NPY")
    np.testing.assert_array_equal(read_transition(tmp_path / "given.csv", 3), GIVEN)
    np.testing.assert_allclose(read_transition(tmp_path / "given.NPY", 3), GIVEN, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.csv", None),
        ("missing.npy", None),
        ("given.txt", "1,0,0\n0,1,0\n0,0,1\n"),
        ("header.csv", "a,b,c\n1,0,0\n0,1,0\n0,0,1\n"),
        ("ragged.csv", "1,0,0\n0,1\n0,0,1\n"),
        ("cut.csv", "1,0,0\n0,1,0\n"),
        ("semicolons.csv", "1;0;0\n0;1;0\n0;0;1\n"),
        ("empty.csv", ""),
        ("binary.csv", b"\xff\xfe\x00\x9d"),
        ("empty.npy", b""),
        ("text.npy", "1,0,0\n0,1,0\n0,0,1\n"),
        ("wrong.csv", "1,0,0\n0.5,0.4,0\n0,0,1\n"),
    ],
)
def test_an_unusable_file_is_named(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=re.escape(f"dataset.noise_matrix={path}")):
        read_transition(path, 3)


def test_a_folder_an_archive_and_pickled_objects_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    np.savez(tmp_path / "archive.npz", np.eye(3))
    (tmp_path / "archive.npz").rename(tmp_path / "archive.npy")
    np.save(tmp_path / "objects.npy", np.array(np.eye(3), dtype=object), allow_pickle=True)
    for name in ("folder.csv", "archive.npy", "objects.npy"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            read_transition(tmp_path / name, 3)


def test_an_array_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "given.npy"
    np.save(path, np.eye(3))
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"given\.npy"):
            read_transition(path, 3)


def test_corrupt_rows_inverts_each_examples_distribution():
    rows = np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0, 1, 0], [0.75, 0, 0.25], [0, 0, 1]])
    draws = Fixed(0.49, 0.5, 0, 0.75, 0.999)
    drawn = corrupt_rows(rows, draws)
    np.testing.assert_array_equal(drawn, [0, 1, 1, 2, 2])
    assert drawn.dtype == np.int64


@pytest.mark.parametrize("transition", [uniform(10, 0.8), uniform_other(10, 0.3), np.eye(10)])
@pytest.mark.parametrize("count", [10, 5000])
def test_corrupt_rows_draws_what_corrupt_does(transition, count):
    label = np.random.default_rng(1).integers(10, size=count)
    given = corrupt(label, transition, np.random.default_rng(2))
    np.testing.assert_array_equal(
        corrupt_rows(transition[label], np.random.default_rng(2)), given, strict=True
    )


def test_rounding_opens_no_gap_in_rows_either():
    rows = np.array([[0.1] * 10 + [0]])
    assert corrupt_rows(rows, Fixed(np.nextafter(1, 0))) == [9]


def test_counts_by_hand():
    clean, given = np.array([0, 0, 1, 2, 2]), np.array([0, 2, 1, 1, 1])
    np.testing.assert_array_equal(
        transition_counts(clean, given, 3), [[1, 0, 1], [0, 1, 0], [0, 2, 0]]
    )
    assert effective_rate(clean, given) == 3 / 5
