"""Pictures small enough to be embedded in the page."""

from base64 import b64encode
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

SIDE = 96  # the longer side of a thumbnail on the page, in pixels
_EXACT = 40  # pictures with sides up to this keep their exact pixels


class Thumbnail(NamedTuple):
    """A picture embedded in the page."""

    uri: str
    width: int  # on the page
    height: int
    pixelated: bool  # whether it is small enough to show its pixels


def thumbnails(pictures: Tensor) -> list[Thumbnail]:
    """Return pictures (B, 3, H, W) uint8 as thumbnails; small ones keep their exact pixels."""
    return [_thumbnail(picture.permute(1, 2, 0).contiguous().cpu().numpy()) for picture in pictures]


def _thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    picture = Image.fromarray(pixels)
    longer = max(picture.size)
    width, height = (max(1, round(side * SIDE / longer)) for side in picture.size)
    small = longer <= _EXACT
    if longer > SIDE:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    file = BytesIO()
    if small:
        picture.save(file, "PNG", optimize=True)
    else:
        picture.save(file, "JPEG", quality=80, optimize=True)
    kind = "png" if small else "jpeg"
    uri = f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"
    return Thumbnail(uri, width, height, small)
