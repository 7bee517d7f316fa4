"""Geometric operations on a whole batch, with separate parameters for each example.

An affine map takes the same source pixel as Pillow (nearest, 16-bit fixed-point coordinates), so
that views of small images equal those of the reference, which works image by image with Pillow. For
large images the reference uses TensorFlow, which sometimes takes the neighbouring pixel.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import pad

Matrix = tuple[float, float, float, float, float, float]

HOLE = (125, 122, 113, 0)  # published AutoAugment: the mean colour of CIFAR, made transparent


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Return the target-to-source map that rotates an image anticlockwise about its centre."""
    # Rounded like Pillow: otherwise some source pixels would differ.
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
        shear_origin: the row (ShearX) or column (ShearY) that a shear does not move, in pixels from
            the image's edge: 0 is the edge, 0.5 the centre of the first pixel.

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
    # Maps apply to pixel centres, half a pixel from the corner.
    centred = (a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5)
    return tuple(math.floor(value * 65536 + 0.5) for value in centred)


def gather_pixels(image: Tensor, row: Tensor, column: Tensor, fill: float) -> Tensor:
    """Return images whose pixels are taken from given source pixels, `fill` where outside.

    Args:
        image: (N, C, H, W).
        row: integers that broadcast to (N, H, W): the source's row, inside the image or not.
        column: the same for its column.
        fill: value of pixels that come from outside.
    """
    height, width = image.shape[-2:]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    fill_index = height * width  # index of an extra pixel, which holds the fill
    source = torch.where(inside, row * width + column, fill_index)
    pixels = pad(image.flatten(2), (0, 1), value=fill)
    source = source.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return pixels.gather(2, source).view_as(image)


def affine(image: Tensor, matrix: Tensor, outside: int = 0) -> Tensor:
    """Return images transformed by the maps of `affine_matrix`.

    Args:
        image: (N, C, H, W).
        matrix: (N, 6) integers.
        outside: value, in every channel, of pixels from outside the image.
    """
    height, width = image.shape[-2:]
    x = torch.arange(width, device=image.device)
    y = torch.arange(height, device=image.device)[:, None]
    a, b, c, d, e, f = matrix[:, :, None, None].unbind(1)
    return gather_pixels(image, (d * x + e * y + f) >> 16, (a * x + b * y + c) >> 16, outside)


def crop(
    image: Tensor, top: Tensor, left: Tensor, flip: Tensor, margin: tuple[int, int], fill: float
) -> Tensor:
    """Pad images, and return a window of the original size of each, mirrored where `flip` is set.

    Args:
        image: (N, C, H, W).
        top: (N,) integers, the window's offset from the padded image's top.
        left: (N,) integers, the window's offset from its left edge.
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
    # Unlike in `gather_pixels`, no pixel of a window can lie outside, so nothing is checked.
    source = (row * padded.shape[-1])[:, :, None] + column[:, None, :]
    source = source.flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return padded.flatten(2).gather(2, source).view_as(image)


def square_mask(row: Tensor, column: Tensor, half: Tensor, height: int, width: int) -> Tensor:
    """Return a mask, (N, 1, H, W) bool: true in rows [row - half, row + half), columns likewise.

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
    hole = square_mask(square[:, 0], square[:, 1], square[:, 2:], *image.shape[-2:])
    return torch.where(hole, colour[:, None, None], image)
