"""The strong view of one large image with Pillow, as the reference's TensorFlow code means it.

Source: reference 1.10.
"""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

GREY = (128, 128, 128)


def move(image, *matrix):
    return image.transform(image.size, Image.AFFINE, matrix, fillcolor=GREY)


def operate(image, name, level, negative):
    """Apply one operation at a level from 0 to 10 to an RGB image."""
    sign = -1 if negative else 1
    slope = sign * 0.03 * level
    match name:
        case "Identity":
            return image
        case "Rotate":
            return image.rotate(sign * 3 * level, fillcolor=GREY)
        case "ShearX":
            return move(image, 1, slope, -slope / 2, 0, 1, 0)
        case "ShearY":
            return move(image, 1, 0, 0, slope, 1, -slope / 2)
        case "TranslateY":
            return move(image, 1, 0, 0, 0, 1, sign * int(25 * level * image.height / 224))
        case "AutoContrast":
            return ImageOps.autocontrast(image)
        case "Equalize":
            return ImageOps.equalize(image)
        case "Invert":
            return ImageOps.invert(image)
        case "Solarize":
            return ImageOps.solarize(image, 0 if level == 10 else int(25.6 * level))
        case "SolarizeAdd":
            return image.point(lambda value: min(255, value + 11 * level) if value < 128 else value)
        case "Posterize":
            return ImageOps.posterize(image, max(1, int(0.4 * level)))
        case "Colour":
            return ImageEnhance.Color(image).enhance(0.18 * level + 0.1)
    raise AssertionError(name)


def strong_view(window, steps, hole):
    """Return the strong view (H, W, 3), uint8, before it is scaled, of a window (H, W, 3) uint8.

    Args:
        window: of the picture.
        steps: (name, level, negative) of each operation.
        hole: (row, column) of the cutout's centre.
    """
    image = Image.fromarray(window)
    for step in steps:
        image = operate(image, *step)
    view = np.array(image)
    row, column = hole
    tall, wide = (int(8 * side / 224) for side in view.shape[:2])
    view[max(0, row - tall) : row + tall, max(0, column - wide) : column + wide] = 0
    return view
