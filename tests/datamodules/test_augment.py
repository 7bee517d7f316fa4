"""The views of whole batches: against Pillow with the same draws, and what draws they use."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.datasets import load_digits

from datamodules.augment import STRONG_VIEWS, Augment, normalise
from datamodules.augment_draws import draw_autoaugment, draw_crop, draw_randaugment
from datamodules.policies import CIFAR_POLICIES, OPERATIONS, RANDAUGMENT_OPERATIONS
from tests.datamodules.pillow_oracle import strong_view


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, height: int = 32, width: int = 32) -> torch.Tensor:
    """Return smooth colour gradients under some noise, different in every corner."""
    generator = seeded(height)
    corners = torch.rand(count, 3, 2, 2, generator=generator)
    smooth = torch.nn.functional.interpolate(corners, (height, width), mode="bilinear")
    noise = torch.rand(count, 3, height, width, generator=generator)
    return (220 * smooth + 35 * noise).to(torch.uint8)


@pytest.mark.parametrize("strong", [view for view in STRONG_VIEWS if view != "none"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (20, 33)])
def test_strong_views_are_those_of_pillow(strong, height, width):
    augment = Augment(strong=strong)
    weak = augment.weak(pictures(150, height, width), seeded(1))
    drawn = augment.draw_strong(seeded(2), len(weak), height, width)
    ours = augment.apply_strong(weak, drawn).permute(0, 2, 3, 1).numpy()
    policy = [[OPERATIONS[code] for code in pair] for pair in drawn.policy.operation.tolist()]
    for example, names in enumerate(policy):
        rest = (field[example].tolist() for field in drawn.policy[1:])
        expected = strong_view(
            weak[example].permute(1, 2, 0).numpy(),
            list(zip(names, *rest, strict=True)),
            *(int(field[example]) for field in drawn.crop),
            [int(field[example]) for field in drawn.hole],
        )
        # Equal as uint8, which test_image_ops sees; the oracle scales in double precision.
        np.testing.assert_allclose(ours[example], expected, rtol=0, atol=2**-23)


def test_none_is_a_grey_shift_of_the_weak_view():
    augment = Augment(strong="none", flip=False)
    weak = augment.weak(pictures(40), seeded(1))
    drawn = augment.draw_strong(seeded(2), 40, 32, 32)
    padded = torch.nn.functional.pad(weak, (4, 4, 4, 4))
    for view, frame, top, left in zip(
        augment.strong(weak, seeded(2)), padded, drawn.crop.top, drawn.crop.left, strict=True
    ):
        assert torch.equal(view, frame[:, top : top + 32, left : left + 32])


@pytest.mark.parametrize("strong", STRONG_VIEWS)
def test_draws_depend_on_the_generator_alone(strong):
    augment = Augment(strong=strong)
    ends = []
    for image in (pictures(30), torch.zeros(30, 3, 32, 32, dtype=torch.uint8)):
        generator = seeded(3)
        augment.strong(augment.weak(image, generator), generator)
        ends.append(generator.get_state())
    assert torch.equal(*ends)
    first, second, other = (augment.draw_strong(seeded(s), 30, 32, 32) for s in (3, 3, 4))
    assert str(first) == str(second) != str(other)


def test_every_example_has_its_own_policy_and_window():
    augment = Augment()
    same = pictures(1).expand(100, -1, -1, -1)
    weak = augment.weak(same, seeded())
    assert len(weak.flatten(1).unique(dim=0)) > 35  # of 50 possible
    assert len(augment.strong(weak[:1].expand(100, -1, -1, -1), seeded()).unique(dim=0)) == 100


def test_policies_are_drawn_as_often_as_the_table_says():
    count = 40_000
    expected: Counter[tuple[str, str]] = Counter()
    for (first, p, _), (second, q, _) in CIFAR_POLICIES:
        for one, r in ((first, p), ("Identity", 1 - p)):
            for two, s in ((second, q), ("Identity", 1 - q)):
                expected[one, two] += count * r * s / len(CIFAR_POLICIES)
    drawn = draw_autoaugment(seeded(5), count, 32, 32)
    seen = Counter((OPERATIONS[a], OPERATIONS[b]) for a, b in drawn.operation.tolist())
    assert not {pair for pair in seen if expected[pair] == 0}
    common = [pair for pair in expected if expected[pair] >= 5]
    statistic = sum((seen[pair] - expected[pair]) ** 2 / expected[pair] for pair in common)
    assert stats.chi2.sf(statistic, len(common) - 1) > 0.001
    pairs = {(policy[0][2], policy[1][2]) for policy in CIFAR_POLICIES}
    assert set(map(tuple, drawn.level.tolist())) == pairs


def test_windows_signs_and_centres_are_uniform():
    augment = Augment()
    drawn = augment.draw_strong(seeded(6), 20_000, 32, 32)
    windows = torch.stack(drawn.crop).T.unique(dim=0, return_counts=True)[1]
    assert len(windows) == 8 * 8 * 2
    assert stats.chisquare(windows).pvalue > 0.001
    for centre in (drawn.hole.row, drawn.policy.column[:, 1]):
        assert stats.chisquare(np.bincount(centre, minlength=32)).pvalue > 0.001
    assert stats.binomtest(int(drawn.policy.negative.sum()), 40_000).pvalue > 0.001


def test_randaugment_is_shared_by_the_batch_as_in_the_reference():
    allowed = {OPERATIONS.index(name) for name in RANDAUGMENT_OPERATIONS}
    identity = OPERATIONS.index("Identity")
    seen = set()
    for seed in range(300):
        drawn = draw_randaugment(seeded(seed), 50, 32, 32, per_example=False)
        assert all(len(level.unique()) == 1 for level in drawn.level.T)
        assert all(len(set(slot.tolist()) - {identity}) <= 1 for slot in drawn.operation.T)
        seen |= {(code, level) for code, level in zip(drawn.operation.max(0).values.tolist(),
                 drawn.level[0].tolist(), strict=True)}  # fmt: skip
    assert {code for code, _ in seen} == allowed
    assert {level for _, level in seen} == set(range(1, 10))
    own = draw_randaugment(seeded(0), 5000, 32, 32, per_example=True)
    skipped = (own.operation == identity).float().mean()
    assert skipped == pytest.approx(0.5 + 0.5 / 14, abs=0.02)
    assert set(own.operation.flatten().tolist()) == allowed


def test_flip_off_mirrors_nothing():
    image = pictures(200)
    still = Augment(pad=0, flip=False, strong="none")
    assert torch.equal(still.weak(image, seeded()), normalise(image))
    assert not still.draw_strong(seeded(), 200, 32, 32).crop.flip.any()
    assert 60 < draw_crop(seeded(), 200, 5, 5).flip.sum() < 140


@pytest.mark.parametrize("strong", STRONG_VIEWS)
def test_digits_of_8x8_pixels_are_never_blank(strong):
    digits = torch.from_numpy(load_digits().images * 255 / 16).to(torch.uint8)
    image = digits[:, None].expand(-1, 3, -1, -1)
    augment = Augment(pad=1, flip=False, strong=strong)
    weak = augment.weak(image, seeded(7))
    spread = augment.strong(weak, seeded(8)).flatten(1).std(1)
    assert spread.min() > 0.05
    assert spread.mean() > 0.7 * weak.flatten(1).std(1).mean()


def test_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="augment=mixup is not"):
        Augment(strong="mixup")
    for pad in (-1, "some", None):
        with pytest.raises(ValueError, match=rf"dataset\.pad={pad} must be a whole number, 0 or"):
            Augment(pad=pad)
    with pytest.raises(ValueError, match=r"dataset\.flip=no is not known: give true or false"):
        Augment(flip="no")
    with pytest.raises(ValueError, match="float32"):
        Augment().weak(torch.zeros(1, 3, 32, 32), seeded())
