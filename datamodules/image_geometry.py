"""Moving pixels of a whole batch, every example in its own way.

An affine map takes the source pixel that Pillow takes (nearest, 16-bit fixed-point coordinates), so
that views of small images equal those of the reference, which works image by image with Pillow. For
large images the reference uses TensorFlow, which now and then takes the pixel beside it.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

Matrix = tuple[float, float, float, float, float, float]

HOLE = (125, 122, 113, 0)  # published AutoAugment: the mean colour of CIFAR, made transparent


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Return the map from target to source that turns an image about its centre, anticlockwise."""
    # The rounding is Pillow's: without it some source pixels would be others.
    cosine = round(math.cos(-math.radians(degrees)), 15)
    sine = round(math.sin(-math.radians(degrees)), 15)
    x, y = width / 2, height / 2
    return (
        cosine,
        sine,
        cosine * -x + sine * -y + x,
        -sine,
        cosine,
        -sine * -x + cosine * -y + y,
    )


@cache
def affine_matrix(
    operation: str, amount: float, height: int, width: int, shear_origin: float = 0
) -> tuple[int, ...]:
    """Return an operation's map from target to source pixels, in units of 1/65536.

    Args:
        operation: Rotate, ShearX, ShearY, TranslateX or TranslateY.
        amount: degrees, slope or pixels, with its sign.
        height: of the image.
        width: of the image.
        shear_origin: the row (ShearX) or column (ShearY) that a shear leaves where it is, in pixels
            from the image's edge: 0 is the edge, 0.5 the centre of the first pixel.

    Returns:
        (a, b, c, d, e, f): target pixel (x, y) shows source pixel (ax + by + c, dx + ey + f).
    """
    matrix: Matrix = {
        "Rotate": rotation(amount, height, width),
        "ShearX": (1, amount, -amount * shear_origin, 0, 1, 0),
        "ShearY": (1, 0, 0, amount, 1, -amount * shear_origin),
        "TranslateX": (1, 0, amount, 0, 1, 0),
        "TranslateY": (1, 0, 0, 0, 1, amount),
    }[operation]
    a, b, c, d, e, f = matrix
    # A pixel is where its centre is, half a pixel from its corner.
    centred = (a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5)
    return tuple(math.floor(value * 65536 + 0.5) for value in centred)


def sample(image: Tensor, row: Tensor, column: Tensor, fill: float) -> Tensor:
    """Return, for every target pixel, the source pixel named, or `fill` where there is none.

    Args:
        image: (N, C, H, W).
        row: integers that broadcast to (N, H, W): the source's row, inside the image or not.
        column: the same for its column.
        fill: value of pixels that come from outside.
    """
    height, width = image.shape[-2:]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    nowhere = height * width  # the place of one more pixel, which holds the fill
    source = torch.where(inside, row * width + column, nowhere)
    pixels = pad(image.flatten(2), (0, 1), value=fill)
    source = source.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return pixels.gather(2, source).view_as(image)


def affine(image: Tensor, matrix: Tensor, outside: int = 0) -> Tensor:
    """Return images under the maps of `affine_matrix`.

    Args:
        image: (N, C, H, W).
        matrix: (N, 6) integers.
        outside: value, in every channel, of pixels from outside the image.
    """
    height, width = image.shape[-2:]
    x = torch.arange(width, device=image.device)
    y = torch.arange(height, device=image.device)[:, None]
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    return sample(image, (d * x + e * y + f) >> 16, (a * x + b * y + c) >> 16, outside)


def crop(
    image: Tensor, top: Tensor, left: Tensor, flip: Tensor, margin: tuple[int, int], fill: float
) -> Tensor:
    """Return windows of the images' own size, some of them mirrored, of the padded images.

    Args:
        image: (N, C, H, W).
        top: (N,) integers, how far a window lies below the padded image's upper edge.
        left: (N,) integers, how far it lies from its left edge.
        flip: (N,) bool, whether the window is mirrored left to right.
        margin: rows of padding above and below, columns of padding left and right: `top` and
            `left` reach from 0 to twice these.
        fill: value of the padding.
    """
    height, width = image.shape[-2:]
    rows, columns = margin
    padded = pad(image, (columns, columns, rows, rows), value=fill)
    x = torch.arange(width, device=image.device)
    y = torch.arange(height, device=image.device)
    column = torch.where(flip[:, None], width - 1 - x, x) + left[:, None]
    row = y + top[:, None]
    # No pixel of a window lies outside, so there is nothing to test for as in `sample`.
    source = (row * padded.shape[-1])[:, :, None] + column[:, None, :]
    source = source.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return padded.flatten(2).gather(2, source).view_as(image)


def in_square(row: Tensor, column: Tensor, half: Tensor, height: int, width: int) -> Tensor:
    """Return (N, 1, H, W) bool: true in rows [row - half, row + half) and such columns.

    Args:
        row: (N,) integers, the square's centre.
        column: (N,) integers.
        half: (N, 2) integers, half its height and half its width.
        height: of the image.
        width: of the image.
    """
    y = torch.arange(height, device=row.device) - row[:, None]
    x = torch.arange(width, device=row.device) - column[:, None]
    tall, wide = half[:, :1], half[:, 1:]
    in_rows = (y >= -tall) & (y < tall)
    in_columns = (x >= -wide) & (x < wide)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def cutout(image: Tensor, square: Tensor) -> Tensor:
    """Return RGBA images (N, 4, H, W) with a transparent square each.

    Args:
        image: (N, 4, H, W) uint8.
        square: (N, 4) integers: the centre's row and column, half the height and half the width.
    """
    colour = torch.tensor(HOLE, dtype=torch.uint8).to(image.device, non_blocking=True)
    hole = in_square(square[:, 0], square[:, 1], square[:, 2:], *image.shape[-2:])
    return torch.where(hole, colour[:, None, None], image)
