"""The views of large images: against Pillow with the same draws, and what draws they use."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats

from datamodules.apply_policies import apply_policies
from datamodules.augment import normalise
from datamodules.augment_draws import PolicyDraws
from datamodules.imagenet_policies import IMAGENET, IMAGENET_OPERATIONS, IMAGENET_POLICIES
from datamodules.large_views import LargeViews
from datamodules.policies import SIGNED_OPERATIONS
from tests.datamodules.pillow_large_oracle import operate, strong_view

SIZES = [(224, 224), (97, 150)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, height: int = 224, width: int = 224) -> torch.Tensor:
    """Return smooth gradients under noise, one picture of noise alone and a dark and narrow one."""
    generator = seeded(height)
    corners = torch.rand(count, 3, 2, 2, generator=generator)
    smooth = torch.nn.functional.interpolate(corners, (height, width), mode="bilinear")
    noise = torch.rand(count, 3, height, width, generator=generator)
    image = (220 * smooth + 35 * noise).to(torch.uint8)
    image[0] = (256 * noise[0]).to(torch.uint8)
    image[1] = 60 + image[1] // 5
    return image


def as_array(image: torch.Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).contiguous().numpy()


def apply(image: torch.Tensor, name: str, level: int, negative: bool = False) -> torch.Tensor:
    """Apply one operation to every image, and none after it."""
    idle = torch.zeros(len(image), dtype=torch.int64)
    first = [IMAGENET_OPERATIONS.index(name), level, int(negative)]
    operation, levels, signs = (torch.stack([idle + value, idle], 1) for value in first)
    centre = torch.stack([idle, idle], 1)
    drawn = PolicyDraws(operation, levels, signs.bool(), centre, centre)
    return apply_policies(image, drawn, IMAGENET)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("name", IMAGENET_OPERATIONS)
def test_no_operation_differs_from_pillow(name, height, width):
    image = pictures(3, height, width)
    before = image.clone()
    for level in range(11):
        for negative in (False, True) if name in SIGNED_OPERATIONS else (False,):
            ours = apply(image, name, level, negative)
            for view, source in zip(ours, image, strict=True):
                picture = Image.fromarray(as_array(source))
                expected = operate(picture, name, level, negative)
                assert np.array_equal(as_array(view), expected), (level, negative)
    assert torch.equal(image, before)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_strong_views_are_those_of_pillow(height, width):
    views = LargeViews()
    window = pictures(100, height, width)
    drawn = views.draw_strong(seeded(2), len(window), height, width)
    ours = views.apply_strong(window, drawn)
    assert torch.equal(ours, views.strong(window, seeded(2)))
    policy = [[IMAGENET_OPERATIONS[code] for code in pair] for pair in drawn.policy.operation]
    assert set(IMAGENET_OPERATIONS) == {name for pair in policy for name in pair}
    for example, names in enumerate(policy):
        level, negative = (field[example].tolist() for field in drawn.policy[1:3])
        hole = [int(field[example]) for field in drawn.hole]
        steps = list(zip(names, level, negative, strict=True))
        expected = strong_view(as_array(window[example]), steps, hole)
        scaled = normalise(torch.from_numpy(expected)).permute(2, 0, 1)
        assert torch.equal(ours[example], scaled), steps


def test_the_whole_range_is_used_and_holes_are_black():
    views, count = LargeViews(), 60
    white = torch.full((count, 3, 224, 224), 255, dtype=torch.uint8)
    assert torch.equal(views.weak(white), torch.ones(count, 3, 224, 224))
    drawn = views.draw_strong(seeded(3), count, 224, 224)
    idle = drawn.policy._replace(operation=torch.zeros_like(drawn.policy.operation))
    black = views.apply_strong(white, drawn._replace(policy=idle))[:, 0] == -1
    row, column = drawn.hole
    whole = (row >= 8) & (row <= 216) & (column >= 8) & (column <= 216)
    assert set(black[whole].sum((1, 2)).tolist()) == {256}
    assert black.sum((1, 2)).min() >= 64
    assert black[torch.arange(count), row, column].all()


def test_draws_depend_on_the_generator_alone():
    views = LargeViews()
    ends = []
    for window in (pictures(20, 64, 64), torch.zeros(20, 3, 64, 64, dtype=torch.uint8)):
        generator = seeded(3)
        views.strong(window, generator)
        ends.append(generator.get_state())
    assert torch.equal(*ends)
    first, second, other = (views.draw_strong(seeded(s), 20, 64, 64) for s in (3, 3, 4))
    assert str(first) == str(second) != str(other)


def test_every_example_has_its_own_policy_and_hole():
    same = pictures(2, 64, 64)[:1].expand(100, -1, -1, -1)
    assert len(LargeViews().strong(same, seeded()).unique(dim=0)) == 100


def test_policies_are_drawn_as_often_as_the_table_says():
    count = 40_000
    expected: Counter[tuple[str, str]] = Counter()
    for (first, p, _), (second, q, _) in IMAGENET_POLICIES:
        for one, r in ((first, p), ("Identity", 1 - p)):
            for two, s in ((second, q), ("Identity", 1 - q)):
                expected[one, two] += count * r * s / len(IMAGENET_POLICIES)
    drawn = LargeViews().draw_strong(seeded(5), count, 224, 224).policy
    seen = Counter(
        (IMAGENET_OPERATIONS[a], IMAGENET_OPERATIONS[b]) for a, b in drawn.operation.tolist()
    )
    assert not {pair for pair in seen if expected[pair] < 1e-6}
    common = [pair for pair in expected if expected[pair] >= 5]
    statistic = sum((seen[pair] - expected[pair]) ** 2 / expected[pair] for pair in common)
    assert stats.chi2.sf(statistic, len(common) - 1) > 0.001
    pairs = {(policy[0][2], policy[1][2]) for policy in IMAGENET_POLICIES}
    assert set(map(tuple, drawn.level.tolist())) == pairs


def test_signs_and_centres_are_uniform():
    drawn = LargeViews().draw_strong(seeded(6), 40_000, 224, 224)
    for centre in drawn.hole:
        assert stats.chisquare(np.bincount(centre, minlength=224)).pvalue > 0.001
    assert stats.binomtest(int(drawn.policy.negative.sum()), 80_000).pvalue > 0.001


def test_refuses_what_are_not_bytes():
    window = torch.zeros(1, 3, 224, 224)
    with pytest.raises(ValueError, match="float32: give uint8"):
        LargeViews().weak(window)
    with pytest.raises(ValueError, match="float32: give uint8"):
        LargeViews().strong(window, seeded())


def test_weak_views_are_scaled_as_small_ones_are():
    window = pictures(2, 64, 64)
    assert torch.equal(LargeViews().weak(window), normalise(window))
