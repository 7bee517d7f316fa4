"""Small pictures, read into memory once."""

import os
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Generator, Tensor

from datamodules.image_windows import Window
from datamodules.images import Place
from datamodules.pictures import PictureFiles
from datamodules.workers import cores


class WholePictures(PictureFiles):
    """Small pictures in files, each shown as its centre square, as they will be in memory."""

    def drawn(self, rows: Tensor, place: Place) -> Tensor:
        """Return the same as `plain`, (B, 3, side, side) uint8."""
        return self.plain(rows)

    def _window(self, picture: Image.Image, draws: Generator | None) -> Window:
        return middle(picture.height, picture.width)


def read_whole(files: WholePictures, what: str) -> Tensor:
    """Return all pictures as they are shown: (N, 3, side, side) uint8.

    Args:
        files: the pictures.
        what: what they are, for the progress bar.

    Raises:
        ValueError: if they need more than 70 % of the machine's memory.
    """
    count, side = len(files), files.side
    check_memory(count, side)
    image = torch.empty((count, 3, side, side), dtype=torch.uint8)

    def read(row: int) -> None:
        image[row] = files.plain(torch.tensor([row]))[0]

    said = f"reading {count:,} {what} pictures"
    quiet = not Console().is_terminal
    # threads are enough: the decoders release the GIL
    with ThreadPoolExecutor(cores()) as pool:
        for _ in track(pool.map(read, range(count)), said, count, transient=True, disable=quiet):
            pass
    return image


def middle(height: int, width: int) -> Window:
    """Return the picture's largest centred square."""
    side = min(height, width)
    return Window((height - side) // 2, (width - side) // 2, side, side)


def check_memory(count: int, side: int) -> None:
    """Raise a ValueError if that many pictures need more than 70 % of the machine's memory."""
    wanted = count * 3 * side * side
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if wanted > 0.7 * there:
            raise ValueError(
                f"The pictures need {wanted / 2**30:.1f} GiB at dataset.image_size={side}, and "
                f"this machine has {there / 2**30:.1f}: give dataset.pictures=windows, which reads "
                "them as they are needed, or a smaller dataset.image_size."
            )
