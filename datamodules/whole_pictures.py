"""Small pictures, read into memory once."""

import os
from concurrent.futures import ThreadPoolExecutor

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from torch import Generator, Tensor

from datamodules.image_windows import Window
from datamodules.images import BatchPosition
from datamodules.pictures import PictureFiles
from datamodules.workers import available_cores


class WholePictures(PictureFiles):
    """Small pictures in files, each shown as its centre square, as they will be in memory."""

    def for_training(self, rows: Tensor, position: BatchPosition) -> Tensor:
        """Return the same as `for_evaluation`, (B, 3, side, side) uint8."""
        return self.for_evaluation(rows)

    def _choose_window(self, picture: Image.Image, draws: Generator | None) -> Window:
        return centre_square(picture.height, picture.width)


def read_into_memory(files: WholePictures, description: str) -> Tensor:
    """Return all pictures as they are shown: (N, 3, side, side) uint8.

    Args:
        files: the pictures.
        description: what they are, for the progress bar.

    Raises:
        ValueError: if they need more than 70 % of the machine's memory.
    """
    count, side = len(files), files.side
    check_memory(count, side)
    image = torch.empty((count, 3, side, side), dtype=torch.uint8)

    def read(row: int) -> None:
        image[row] = files.for_evaluation(torch.tensor([row]))[0]

    title = f"reading {count:,} {description} pictures"
    quiet = not Console().is_terminal
    # threads are enough: the decoders release the GIL
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in track(pool.map(read, range(count)), title, count, transient=True, disable=quiet):
            pass
    return image


def centre_square(height: int, width: int) -> Window:
    """Return the picture's largest centred square."""
    side = min(height, width)
    return Window((height - side) // 2, (width - side) // 2, side, side)


def check_memory(count: int, side: int) -> None:
    """Raise a ValueError if that many pictures need more than 70 % of the machine's memory."""
    needed = count * 3 * side * side
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if needed > 0.7 * total:
            raise ValueError(
                f"The pictures need {needed / 2**30:.1f} GiB at dataset.image_size={side}, and "
                f"this machine has {total / 2**30:.1f}: give dataset.pictures=windows, which reads "
                "them as they are needed, or a smaller dataset.image_size."
            )
