"""The strong view of one image as the reference makes it, with Pillow (reference 1.7, 1.8)."""

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

ENHANCERS = {
    "Colour": ImageEnhance.Color,
    "Contrast": ImageEnhance.Contrast,
    "Brightness": ImageEnhance.Brightness,
    "Sharpness": ImageEnhance.Sharpness,
}


def through_rgb(image, change):
    return change(image.convert("RGB")).convert("RGBA")


def pixels(length, side):
    return int(length * side / 32)


def operate(image, name, level, negative, row, column):
    """Apply one operation at a level from 0 to 9 to an RGBA image."""
    width, height = image.size
    sign = -1 if negative else 1
    slope = sign * 0.03 * level
    match name:
        case "Identity":
            return image
        case "Rotate":
            return image.rotate(sign * int(3 * level))
        case "ShearX":
            return image.transform(image.size, Image.AFFINE, (1, slope, 0, 0, 1, 0))
        case "ShearY":
            return image.transform(image.size, Image.AFFINE, (1, 0, 0, slope, 1, 0))
        case "TranslateX":
            shift = sign * pixels(level, width)
            return image.transform(image.size, Image.AFFINE, (1, 0, shift, 0, 1, 0))
        case "TranslateY":
            shift = sign * pixels(level, height)
            return image.transform(image.size, Image.AFFINE, (1, 0, 0, 0, 1, shift))
        case "Cutout":
            image = image.copy()
            tall, wide = pixels(level, height), pixels(level, width)
            for y in range(max(0, row - tall), min(height, row + tall)):
                for x in range(max(0, column - wide), min(width, column + wide)):
                    image.putpixel((x, y), (125, 122, 113, 0))
            return image
        case "AutoContrast":
            return through_rgb(image, ImageOps.autocontrast)
        case "Equalize":
            return through_rgb(image, ImageOps.equalize)
        case "Invert":
            return through_rgb(image, ImageOps.invert)
        case "Solarize":
            return through_rgb(image, lambda rgb: ImageOps.solarize(rgb, 256 - int(25.6 * level)))
        case "Posterize":
            return through_rgb(image, lambda rgb: ImageOps.posterize(rgb, 4 - int(0.4 * level)))
        case _:
            return ENHANCERS[name](image).enhance(0.18 * level + 0.1)


def strong_view(weak, steps, top, left, flip, hole):
    """Return the strong view (H, W, 3) of a weak view (H, W, 3).

    Args:
        weak: float32 from -1 to 1.
        steps: (name, level, negative, row, column) of each operation.
        top: of the window in the padded image.
        left: likewise.
        flip: whether the window is mirrored.
        hole: (row, column) of the cutout's centre.
    """
    height, width = weak.shape[:2]
    raw = ((weak * np.float32(0.5) + np.float32(0.5)) * np.float32(255)).astype(np.uint8)
    image = Image.fromarray(raw).convert("RGBA")
    for step in steps:
        image = operate(image, *step)
    rgba = np.asarray(image)
    view = (rgba[..., :3] / 255 - 0.5) / 0.5
    view[rgba[..., 3] == 0] = 0
    up, aside = pixels(4, height), pixels(4, width)
    view = np.pad(view, [(up, up), (aside, aside), (0, 0)])[top : top + height, left : left + width]
    view = view[:, ::-1].copy() if flip else view.copy()
    row, column = hole
    tall, wide = pixels(8, height), pixels(8, width)
    view[max(0, row - tall) : row + tall, max(0, column - wide) : column + wide] = 0
    return view.astype(np.float32)
