"""The policy table and the levels against hand-written facts of reference 1.7 to 1.9."""

from collections import Counter

import pytest

from datamodules.policies import (
    CIFAR_POLICIES,
    OPERATIONS,
    RANDAUGMENT_OPERATIONS,
    magnitude,
    scale_length,
)


def test_the_table_has_the_published_rows():
    assert len(CIFAR_POLICIES) == 95
    assert CIFAR_POLICIES[0] == (("Invert", 0.1, 7), ("Contrast", 0.2, 6))
    assert CIFAR_POLICIES[61] == (("Cutout", 0.2, 4), ("Equalize", 0.1, 1))
    assert CIFAR_POLICIES[76] == (("TranslateX", 0.3, 0), ("TranslateX", 0.6, 0))
    assert CIFAR_POLICIES[94] == (("Equalize", 0.6, 9), ("Equalize", 0.4, 4))


def test_the_table_sums_to_what_was_counted_by_hand():
    choices = [choice for policy in CIFAR_POLICIES for choice in policy]
    counted = Counter(name for name, _, _ in choices)
    assert counted == {
        "Equalize": 40, "AutoContrast": 35, "Solarize": 24, "TranslateY": 23, "Brightness": 13,
        "Colour": 13, "ShearY": 7, "Sharpness": 7, "Contrast": 6, "Invert": 6, "ShearX": 4,
        "TranslateX": 4, "Cutout": 3, "Rotate": 3, "Posterize": 2,
    }  # fmt: skip
    assert round(10 * sum(chance for _, chance, _ in choices)) == 902
    assert sum(level for _, _, level in choices) == 890


@pytest.mark.parametrize("level", range(10))
def test_levels_mean_what_the_reference_says(level):
    assert magnitude("Rotate", level) == int(3 * level)
    assert magnitude("ShearX", level) == magnitude("ShearY", level)
    assert magnitude("ShearX", level) == pytest.approx(0.03 * level, abs=1e-15)
    assert magnitude("TranslateX", level) == magnitude("TranslateY", level) == int(level)
    assert magnitude("Cutout", level) == int(2 * level) / 2
    assert magnitude("Posterize", level) == 4 - int(0.4 * level)
    assert magnitude("Solarize", level) == 256 - int(25.6 * level)
    assert magnitude("Invert", level) == 0
    for name in ("Colour", "Contrast", "Brightness", "Sharpness"):
        assert magnitude(name, level) == pytest.approx(0.18 * level + 0.1, abs=1e-15)


def test_lengths_follow_the_side():
    assert [scale_length(9, side) for side in (8, 16, 32, 64)] == [2, 4, 9, 18]
    assert magnitude("TranslateX", 9, 8) == 2
    assert magnitude("Cutout", 3, 8) == 0
    assert magnitude("ShearX", 9, 8) == magnitude("ShearX", 9, 32)


def test_randaugment_draws_from_fourteen_operations():
    assert len(RANDAUGMENT_OPERATIONS) == len(set(RANDAUGMENT_OPERATIONS)) == 14
    assert set(OPERATIONS) - set(RANDAUGMENT_OPERATIONS) == {"Cutout", "Invert"}
