"""Colour operations on a whole batch, with a separate amount for each example.

Images are RGBA, (N, 4, H, W) uint8, or RGB, and each function returns what Pillow returns for each
image alone, to the last bit. The reference's strong views are made of these (reference 1.7, 1.8,
1.10). The operations up to `posterise` go through RGB, which makes all pixels opaque; the
enhancements after it keep the alpha channel.
"""

import torch
from torch import Tensor


def _opaque(rgb: Tensor, image: Tensor) -> Tensor:
    """Return `rgb`, with a full alpha channel if the image has one."""
    return torch.cat([rgb, torch.full_like(image[:, 3:], 255)], dim=1)


def auto_contrast(image: Tensor) -> Tensor:
    """Return images with each channel stretched to 0 to 255; constant channels stay unchanged."""
    rgb = image[:, :3]
    # Pillow computes in double precision and truncates, so single precision would be one off here
    # and there; MPS has no double precision and accepts that.
    exact = torch.float32 if image.device.type == "mps" else torch.float64
    lowest = rgb.amin((2, 3), keepdim=True).to(exact)
    highest = rgb.amax((2, 3), keepdim=True).to(exact)
    # Divide two tensors: torch computes number / tensor as a product with the reciprocal.
    scale = torch.full_like(lowest, 255) / (highest - lowest)
    stretched = (rgb * scale + -lowest * scale).clamp(0, 255).to(torch.uint8)
    return _opaque(torch.where(highest > lowest, stretched, rgb), image)


def equalise(image: Tensor) -> Tensor:
    """Return images whose values are spread evenly over 0 to 255 in each channel.

    A channel stays unchanged if fewer than 255 of its pixels are darker than its brightest value,
    as in every 8x8 image.
    """
    value = image[:, :3].flatten(2).to(torch.int64)
    histogram = torch.zeros(*value.shape[:2], 256, dtype=torch.int64, device=image.device)
    histogram.scatter_add_(2, value, torch.ones_like(value))
    darker = histogram.cumsum(2) - histogram  # how many pixels are darker than each value
    step = darker.gather(2, value.amax(2, keepdim=True)) // 255
    spread = ((step // 2 + darker) // step.clamp(min=1)).clamp(max=255)
    same = torch.arange(256, device=image.device)
    table = torch.where(step > 0, spread, same).to(torch.uint8)
    return _opaque(table.gather(2, value).view_as(image[:, :3]), image)


def solarise(image: Tensor, threshold: Tensor) -> Tensor:
    """Return images with values at or above the threshold (N, 1), 0 to 256, inverted."""
    rgb = image[:, :3]
    return _opaque(torch.where(rgb < threshold[:, :, None, None], rgb, 255 - rgb), image)


def solarise_add(image: Tensor, amount: Tensor) -> Tensor:
    """Return images with the amount (N, 1), 0 to 127, added to values below 128."""
    rgb = image[:, :3]
    lighter = rgb + amount[:, :, None, None].to(torch.uint8)
    return _opaque(torch.where(rgb < 128, lighter, rgb), image)


def posterise(image: Tensor, bits: Tensor) -> Tensor:
    """Return images that keep the highest bits (N, 1), 1 to 8, of each value."""
    rgb = image[:, :3]
    dropped = (8 - bits)[:, :, None, None].to(torch.uint8)
    return _opaque((rgb >> dropped) << dropped, image)


def _luminance(image: Tensor) -> Tensor:
    """Return Pillow's integer luma, (N, 1, H, W) int32; transparent pixels are not special."""
    red, green, blue = image[:, :3, None].to(torch.int32).unbind(1)
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16


def _enhance(image: Tensor, degenerate: Tensor, factor: Tensor) -> Tensor:
    """Interpolate or extrapolate from `degenerate` (factor 0) through the image (factor 1)."""
    start = degenerate.to(torch.float32)
    line = start + factor[:, :, None, None] * (image[:, :3] - start)
    return torch.cat([line.clamp(0, 255).to(torch.uint8), image[:, 3:]], dim=1)


def colour(image: Tensor, factor: Tensor) -> Tensor:
    """Return images with their saturation times the factor (N, 1) float32."""
    return _enhance(image, _luminance(image), factor)


def contrast(image: Tensor, factor: Tensor) -> Tensor:
    """Return images with their distance from their mean grey times the factor (N, 1) float32."""
    grey = _luminance(image)
    count = grey[0].numel()
    mean = (2 * grey.sum((2, 3), keepdim=True) + count) // (2 * count)
    return _enhance(image, mean, factor)


def brightness(image: Tensor, factor: Tensor) -> Tensor:
    """Return images with their values times the factor (N, 1) float32."""
    return _enhance(image, torch.zeros_like(image[:, :1]), factor)


def sharpness(image: Tensor, factor: Tensor) -> Tensor:
    """Return images with their distance from a smoothed copy times the factor (N, 1) float32."""
    rgb = image[:, :3].to(torch.int32)
    rows = rgb[:, :, :-2] + rgb[:, :, 1:-1] + rgb[:, :, 2:]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    centre = rgb[:, :, 1:-1, 1:-1]
    smooth = rgb.clone()  # the border stays unchanged
    # A 3x3 mean with weight 5 in the centre and 1 around it, rounded to the nearest.
    smooth[:, :, 1:-1, 1:-1] = (2 * (around + 4 * centre) + 13) // 26
    return _enhance(image, smooth, factor)
