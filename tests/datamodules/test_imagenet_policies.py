"""The policies for large images and their levels against hand-written facts of reference 1.10."""

from collections import Counter

import pytest

from datamodules.imagenet_policies import (
    IMAGENET,
    IMAGENET_OPERATIONS,
    IMAGENET_POLICIES,
    magnitude,
)
from datamodules.policies import CIFAR, IDENTITY


def test_the_table_has_the_published_rows():
    assert len(IMAGENET_POLICIES) == 25
    assert IMAGENET_POLICIES[0] == (("Equalize", 0.8, 1), ("ShearY", 0.8, 4))
    assert IMAGENET_POLICIES[6] == (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3))
    assert IMAGENET_POLICIES[15] == (("Rotate", 1.0, 7), ("TranslateY", 0.8, 9))
    assert IMAGENET_POLICIES[22] == (("Posterize", 0.8, 2), ("Solarize", 0.6, 10))
    assert IMAGENET_POLICIES[24] == (("Colour", 0.8, 6), ("Rotate", 0.4, 5))


def test_the_table_sums_to_what_was_counted_by_hand():
    choices = [choice for policy in IMAGENET_POLICIES for choice in policy]
    counted = Counter(name for name, _, _ in choices)
    assert counted == {
        "Equalize": 12, "Colour": 9, "Solarize": 8, "Rotate": 7, "ShearY": 4, "ShearX": 2,
        "SolarizeAdd": 2, "Posterize": 2, "AutoContrast": 2, "Invert": 1, "TranslateY": 1,
    }  # fmt: skip
    assert set(counted) == set(IMAGENET_OPERATIONS) - {"Identity"}
    assert round(10 * sum(chance for _, chance, _ in choices)) == 298
    assert sum(level for _, _, level in choices) == 240


@pytest.mark.parametrize("level", range(11))
def test_levels_mean_what_the_reference_says(level):
    assert magnitude("Rotate", level) == 3 * level
    assert magnitude("ShearX", level) == magnitude("ShearY", level)
    assert magnitude("ShearX", level) == pytest.approx(0.03 * level, abs=1e-15)
    assert magnitude("TranslateY", level) == 25 * level
    assert magnitude("Posterize", level) == (1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4)[level]
    assert magnitude("Solarize", level) == (0, 25, 51, 76, 102, 128, 153, 179, 204, 230, 0)[level]
    assert magnitude("SolarizeAdd", level) == int(level / 10 * 110)
    assert magnitude("Invert", level) == 0
    assert magnitude("Colour", level) == pytest.approx(0.18 * level + 0.1, abs=1e-15)


def test_lengths_follow_the_side():
    assert [magnitude("TranslateY", 9, side) for side in (224, 112, 100)] == [225, 112, 100]
    assert magnitude("ShearX", 9, 100) == magnitude("ShearX", 9, 224)


@pytest.mark.parametrize("policy_set", [CIFAR, IMAGENET])
def test_identity_has_the_same_place_in_every_set(policy_set):
    assert policy_set.operations[IDENTITY] == "Identity"
    assert len(set(policy_set.operations)) == len(policy_set.operations)
