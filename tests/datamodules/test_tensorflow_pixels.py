"""How far our views of large images are from what TensorFlow makes of the same draws.

The reference makes them with TensorFlow, we with what Pillow does. The formulas below are those of
TensorFlow in NumPy. It was run itself once, versions 2.13 and 2.21, with differences as small; at
224x224 Equalize, Invert, Solarize, SolarizeAdd, Posterize and TranslateY showed none.
"""

import math

import numpy as np
import pytest
import torch

from datamodules import image_ops
from datamodules.imagenet_policies import magnitude
from tests.datamodules.test_large_views import apply, pictures

SIDE = 224
# Rows of 224 at which the slope 0.03 * level takes a pixel half way between two, for levels 0 to 10
TIES = (0, 2, 4, 2, 0, 11, 4, 2, 0, 2, 22)
OUTSIDE = 128


def sources(name: str, level: int, negative: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the column and row that each pixel shows, and whether it shows any."""
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.uint8), np.arange(SIDE, dtype=np.uint8))
    own_place = torch.from_numpy(np.stack([x, y, np.zeros_like(x)]))[None]
    column, row, mark = apply(own_place, name, level, negative)[0].numpy().astype(int)
    return column, row, mark != OUTSIDE


@pytest.mark.parametrize("level", range(11))
@pytest.mark.parametrize("sign", [1, -1])
def test_shears_show_the_nearest_pixel_but_where_two_are_as_near(level, sign):
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    hundredths = 100 * x + sign * 3 * level * y  # no half-pixel offset: 1.10's x + s * y
    nearest = (hundredths + 50) // 100
    tie = hundredths % 100 == 50
    assert tie.any(1).sum() == TIES[level]
    inside = (nearest >= 0) & (nearest < SIDE)
    for name, ours in (
        ("ShearX", sources("ShearX", level, sign < 0)),
        ("ShearY", tuple(np.transpose(field) for field in sources("ShearY", level, sign < 0))),
    ):
        along, across = ours[:2] if name == "ShearX" else (ours[1], ours[0])
        assert np.array_equal(ours[2] | tie, inside | tie)
        seen = ours[2] & inside
        assert np.array_equal(across[seen], y[seen])
        assert np.array_equal(along[seen & ~tie], nearest[seen & ~tie])
        assert np.isin(nearest[seen & tie] - along[seen & tie], (0, 1)).all()


@pytest.mark.parametrize("level", range(11))
@pytest.mark.parametrize("sign", [1, -1])
def test_rotations_show_another_pixel_seldom_and_then_a_neighbour(level, sign):
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    centre = (SIDE - 1) / 2
    cosine, sine = (f(math.radians(sign * 3 * level)) for f in (math.cos, math.sin))
    across = cosine * (x - centre) - sine * (y - centre) + centre
    down = sine * (x - centre) + cosine * (y - centre) + centre
    column, row = (np.floor(place + 0.5).astype(int) for place in (across, down))
    inside = (column >= 0) & (column < SIDE) & (row >= 0) & (row < SIDE)
    our_column, our_row, ours_inside = sources("Rotate", level, sign < 0)
    seen = inside & ours_inside
    away = np.maximum(abs(our_column - column), abs(our_row - row))[seen]
    assert away.max() <= 1
    # Pillow's map is rounded to 1/65536; TensorFlow's is in single precision.
    assert (away > 0).sum() + (inside != ours_inside).sum() <= 72  # of 50,176


def test_colour_is_at_most_one_level_off():
    image = pictures(2)
    scaled = image.permute(0, 2, 3, 1).numpy() * np.float32(1 / 255)
    weights = np.array([0.2989, 0.587, 0.114], np.float32)
    grey = (scaled @ weights * np.float32(255.5)).astype(np.uint8)
    apart = np.zeros(11)
    for level in range(11):
        factor = np.float32(magnitude("Colour", level))
        start = grey[:, None].astype(np.float32)
        line = start + factor * (image.numpy().astype(np.float32) - start)
        theirs = np.clip(line, 0, 255).astype(np.uint8)
        away = abs(apply(image, "Colour", level).numpy().astype(int) - theirs)
        assert away.max() <= 1
        apart[level] = (away > 0).mean()
    assert apart.argmax() == 0
    assert apart.max() < 0.3  # of the values
    assert apart[5] == 0  # a factor of 1 is the image


def test_auto_contrast_is_at_most_one_level_off():
    lowest, highest = np.triu_indices(256, 1)  # every pair that a channel can have
    value = np.clip(np.arange(256), lowest[:, None], highest[:, None]).astype(np.uint8)
    low, high = (bound.astype(np.float32)[:, None] for bound in (lowest, highest))
    scale = np.float32(255) / (high - low)
    theirs = np.clip(value.astype(np.float32) * scale + -low * scale, 0, 255).astype(np.uint8)
    image = torch.from_numpy(value).view(-1, 3, 1, 256)
    ours = image_ops.auto_contrast(image).view(-1, 256).numpy()
    away = abs(ours.astype(int) - theirs)
    assert away.max() == 1
    possible = (np.arange(256) >= lowest[:, None]) & (np.arange(256) <= highest[:, None])
    assert away[possible].mean() < 0.02
