"""The windows that views show: how they are drawn, and what Pillow cuts out for them."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torchvision.transforms.v2 import functional

from datamodules.image_windows import Window, centre_window, random_window, resized_crop

# Mean share of the picture that TensorFlow's windows showed, 20,000 of each size (version 2.21)
TENSORFLOW_AREA = {
    (256, 256): 0.4219,
    (256, 341): 0.3926,
    (341, 256): 0.3756,
    (500, 120): 0.1651,
    (60, 400): 0.1297,
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(count: int, height: int, width: int) -> np.ndarray:
    """Draw windows, (count, 5), one after the other from one generator."""
    generator = seeded(height + width)
    return np.array([random_window(generator, height, width) for _ in range(count)])


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    noise = np.random.default_rng(height).integers(0, 256, (height // 4, width // 4, 3), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def references_sizes(count: int, height: int, width: int) -> np.ndarray:
    """Return heights and widths that 1.10's sampling accepts, (count, 2), made with NumPy alone."""
    generator = np.random.default_rng(0)
    aspect = generator.uniform(3 / 4, 4 / 3, 4 * count)
    lowest = np.sqrt(0.08 * height * width / aspect)
    highest = np.minimum(np.sqrt(height * width / aspect), np.minimum(height, width / aspect))
    # Whole numbers from lowest to highest, each as likely
    tall = np.floor(generator.uniform(np.round(lowest), np.floor(highest + 0.5 / aspect) + 1))
    tall = np.minimum(tall, height)
    size = np.stack([tall, np.minimum(np.round(tall * aspect), width)], 1)
    return size[size.prod(1) >= 0.1 * height * width][:count]


@pytest.mark.parametrize(("height", "width"), TENSORFLOW_AREA)
def test_windows_are_inside_and_of_the_area_and_aspect_they_should_be(height, width):
    top, left, tall, wide, flip = drawn(2000, height, width).T
    assert min(top.min(), left.min()) == 0
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()
    area = tall * wide / (height * width)
    assert area.min() >= 0.1
    assert ((wide + 0.5) / tall >= 3 / 4).all()
    assert ((wide - 0.5) / tall <= 4 / 3).all()
    error = area.std() / 2000**0.5
    assert area.mean() == pytest.approx(TENSORFLOW_AREA[height, width], abs=4 * error)
    assert stats.binomtest(int(flip.sum()), 2000).pvalue > 0.001


@pytest.mark.parametrize(("height", "width"), [(256, 256), (300, 400), (400, 300)])
def test_heights_and_widths_are_distributed_as_in_the_reference(height, width):
    ours = drawn(4000, height, width)[:, 2:4]
    theirs = references_sizes(20_000, height, width)
    for sample, other in ((ours[:, 0], theirs[:, 0]), (ours[:, 1], theirs[:, 1])):
        assert stats.ks_2samp(sample, other).pvalue > 0.001
    assert stats.ks_2samp(ours.prod(1), theirs.prod(1)).pvalue > 0.001
    assert stats.ks_2samp(ours[:, 1] / ours[:, 0], theirs[:, 1] / theirs[:, 0]).pvalue > 0.001


def test_places_are_uniform():
    top, left, tall, wide, _ = drawn(4000, 1000, 1000).T
    for place, size in ((top, tall), (left, wide)):
        room = 1000 - size
        loose = room > 100
        share = (place[loose] + np.random.default_rng(1).random(loose.sum())) / room[loose]
        assert stats.kstest(share, "uniform").pvalue > 0.001


@pytest.mark.parametrize(("height", "width"), [(40, 900), (900, 40), (1, 1)])
def test_pictures_without_a_window_show_their_centre(height, width):
    centre = centre_window(height, width)
    windows = [random_window(seeded(seed), height, width) for seed in range(50)]
    assert {window._replace(flip=False) for window in windows} == {centre}
    assert len(set(windows)) == 2


def test_the_whole_picture_is_never_shown_but_its_centre():
    windows = [tuple(window) for window in drawn(500, 6, 6)[:, :4]]
    assert (0, 0, 6, 6) not in windows
    assert centre_window(6, 6)[:4] in windows


def test_windows_are_a_function_of_the_generator():
    one, same, other = (random_window(seeded(s), 300, 400) for s in (1, 1, 2))
    assert one == same != other
    ends = []
    for flip in (True, False):
        generator = seeded(3)
        windows = [random_window(generator, 300, 400, flip=flip) for _ in range(50)]
        ends.append((generator.get_state(), [window[:4] for window in windows]))
        assert any(window.flip for window in windows) == flip
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((256, 256), (16, 16, 224, 224)),
        ((256, 341), (16, 59, 224, 224)),
        ((500, 375), (86, 24, 328, 328)),
        ((375, 500), (24, 86, 328, 328)),
        ((1, 9), (0, 4, 1, 1)),
    ],
)
def test_the_centre_is_what_was_counted_by_hand(size, expected):
    assert centre_window(*size) == (*expected, False)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA"])
@pytest.mark.parametrize("flip", [False, True])
def test_show_is_torchvisions_resized_crop(mode, flip):
    image = picture(300, 400, mode)
    window = Window(20, 31, 260, 200, flip)
    rgb = image.convert("RGB")
    expected = functional.pil_to_tensor(
        functional.resized_crop(rgb, *window[:4], [224, 224], antialias=True)
    )
    ours = resized_crop(image, window)
    assert ours.dtype == torch.uint8
    assert ours.is_contiguous()
    assert torch.equal(ours, expected.flip(2) if flip else expected)


def test_show_of_the_centre_is_torchvisions_centre_crop():
    image = picture(256, 344)
    expected = functional.pil_to_tensor(functional.center_crop(image, [224, 224]))
    assert torch.equal(resized_crop(image, centre_window(256, 344)), expected)
    assert resized_crop(image, centre_window(256, 344), 64).shape == (3, 64, 64)


def test_refuses_what_is_no_picture_or_no_part_of_it():
    for call in (centre_window, lambda *size: random_window(seeded(), *size)):
        with pytest.raises(ValueError, match="0x5 is not a picture: give"):
            call(0, 5)
    image = picture(40, 60)
    for window in (
        Window(0, 0, 41, 60),
        Window(-1, 0, 5, 5),
        Window(0, 60, 5, 5),
        Window(0, 0, 5, 0),
    ):
        with pytest.raises(ValueError, match="not inside a picture of 40x60"):
            resized_crop(image, window)
    with pytest.raises(ValueError, match="side=0"):
        resized_crop(image, centre_window(40, 60), 0)
