"""The window of a large picture that a view shows: random in training, the centre in evaluation.

Source: reference 1.10, and TensorFlow's `sample_distorted_bounding_box` that it calls. The aspect
ratio is drawn first and then the height, each uniformly. torchvision's `RandomResizedCrop` draws
the area uniformly instead; on average, its windows show a good tenth more of the picture.
"""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from datamodules.imagenet_policies import IMAGENET_SIDE

_ASPECT = (3 / 4, 4 / 3)  # width / height
_LEAST_AREA = 0.08  # share of the picture's area, which bounds the height that is drawn
_LEAST_COVERED = 0.1  # share of the picture; smaller windows are drawn again
_MAX_TRIES = 10


class Window(NamedTuple):
    """A rectangle in a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int
    flip: bool = False  # whether it is mirrored left to right


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"{height}x{width} is not a picture: give a height and width from 1 up.")


def centre_window(height: int, width: int) -> Window:
    """Return the centred square that evaluation shows, 7/8 of the picture's shorter side.

    Raises:
        ValueError: if the picture has no pixel.
    """
    _check_size(height, width)
    side = max(1, 7 * min(height, width) // 8)  # 224/256
    return Window((height - side + 1) // 2, (width - side + 1) // 2, side, side)


def _random_integer(generator: Generator, stop: int) -> int:
    return int(torch.randint(stop, (), generator=generator))


def _draw_size(generator: Generator, height: int, width: int) -> tuple[int, int]:
    """Draw an aspect ratio, then a height at which such a window fits and has enough area."""
    low, high = _ASPECT
    aspect = low + (high - low) * float(torch.rand((), dtype=torch.float32, generator=generator))
    tallest = min(height, int((width + 0.5) / aspect))
    lowest = min(tallest, round((_LEAST_AREA * height * width / aspect) ** 0.5))
    tall = lowest + _random_integer(generator, tallest - lowest + 1)
    return tall, min(width, round(tall * aspect))


def random_window(generator: Generator, height: int, width: int, *, flip: bool = True) -> Window:
    """Draw a window of at least a tenth of the picture, with an aspect ratio of 3:4 to 4:3.

    Draws an aspect ratio and a height until they fit, ten times at most; then the offset, unless
    the centre window is used; then the flip. The number of draws depends on the picture, so each
    example needs its own generator.

    Args:
        generator: a CPU generator, of this example alone.
        height: of the picture.
        width: of the picture.
        flip: whether half of the windows are mirrored; the generator advances either way.

    Returns:
        The window; that of evaluation where none was found, as in very long pictures, or where it
        would be the whole picture.

    Raises:
        ValueError: if the picture has no pixel.
    """
    window = centre_window(height, width)
    for _ in range(_MAX_TRIES):
        tall, wide = _draw_size(generator, height, width)
        if tall * wide >= _LEAST_COVERED * height * width:
            if (tall, wide) != (height, width):
                # As in the reference, the last offset is never drawn.
                top = _random_integer(generator, max(1, height - tall))
                window = Window(top, _random_integer(generator, max(1, width - wide)), tall, wide)
            break
    mirrored = bool(torch.rand((), dtype=torch.float32, generator=generator) < 0.5)
    return window._replace(flip=mirrored and flip)


def resized_crop(picture: Image.Image, window: Window, side: int = IMAGENET_SIDE) -> Tensor:
    """Return a window of a picture of any mode, resized to a square: (3, side, side) uint8, RGB.

    Bilinear with antialiasing, as in Pillow and torchvision. The reference uses TensorFlow's legacy
    kernel, which does not antialias and aligns pixels by their corners; its weak view also keeps
    fractional values.

    Raises:
        ValueError: if the window is not inside the picture, or `side` is below 1.
    """
    top, left, height, width, flip = window
    bottom, right = top + height, left + width
    if not (0 <= top < bottom <= picture.height and 0 <= left < right <= picture.width):
        size = f"{picture.height}x{picture.width}"
        raise ValueError(f"{window} is not inside a picture of {size}: draw it for this size.")
    if side < 1:
        raise ValueError(f"side={side} is not a width: give a whole number of pixels from 1 up.")
    view = picture.crop((left, top, right, bottom)).convert("RGB")
    view = view.resize((side, side), Image.Resampling.BILINEAR)
    if flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(view)).permute(2, 0, 1).contiguous()
