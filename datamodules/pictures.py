"""Images in files, decoded by data loader workers when a step or an evaluation needs them.

A file that cannot be read is recorded and shown as a grey picture, so that it does not end the run.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from datamodules.image_windows import Window, centre_window, random_window, resized_crop
from datamodules.images import BatchPosition
from datamodules.randomness import torch_generator
from datamodules.unreadable import Unreadable

# Large scans are not the attack that Pillow would take them for.
Image.MAX_IMAGE_PIXELS = None

_GREY = 128  # close to 0 when normalised


def open_picture(path: Path) -> Image.Image:
    """Return a picture fully decoded, upright as its EXIF data say, with 8 bits per channel.

    Raises:
        OSError: if it is missing, not a picture, or cut short.
    """
    try:
        with Image.open(path) as file:
            file.load()
            picture = ImageOps.exif_transpose(file)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # decoders raise many kinds
        raise OSError(f"{type(error).__name__}: {error}") from error
    if picture.mode.startswith(("I", "F")):  # 16 bits; Pillow's own conversion makes them white
        values = np.asarray(picture, dtype=np.float64)
        if picture.mode.startswith("F") and values.max(initial=0) <= 1:  # from 0 to 1
            values = 65535 * values
        return Image.fromarray((values / 257).clip(0, 255).astype(np.uint8))
    return picture


class PictureFiles:
    """The pictures of a list of N files.

    Training sees random windows of them, evaluation the centre (`image_windows`).

    Args:
        root: folder that relative paths start from.
        paths: (N,) paths, absolute or relative to `root`.
        side: of the square that is shown, in pixels.
        seed: the run's seed.
        flip: whether windows may be mirrored.
        unreadable: records files that cannot be read.
    """

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        *,
        side: int,
        seed: int,
        flip: bool,
        unreadable: Unreadable,
    ) -> None:
        self.root = os.fspath(root)
        # one array: a worker that looks at a Python object copies its page of memory
        self.paths = np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)
        self.side = side
        self.seed = seed
        self.flip = flip
        self.unreadable = unreadable

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, row: int) -> str:
        """Return the path of a row as the list gives it."""
        return os.fsdecode(bytes(self.paths[row]))

    def path(self, row: int) -> Path:
        """Return the full path of a row."""
        return Path(self.root, self.name(row))

    def for_evaluation(self, rows: Tensor) -> Tensor:
        """Return the centre windows of rows (B,): (B, 3, side, side) uint8."""
        # not stacked: a rank's share of a few pictures may be none
        images = torch.empty((len(rows), 3, self.side, self.side), dtype=torch.uint8)
        for place, row in enumerate(rows.tolist()):
            images[place] = self._read_windows(row, None, 1)[0]
        return images

    def for_training(self, rows: Tensor, position: BatchPosition) -> Tensor:
        """Return random windows of rows (B,): (B, position.windows, 3, side, side) uint8."""
        views = []
        for index, row in enumerate(rows.tolist()):
            step_and_index = position.step, position.offset + index
            draws = torch_generator(self.seed, f"{position.purpose} windows", *step_and_index)
            views.append(self._read_windows(row, draws, position.windows))
        return torch.stack(views)

    def _read_windows(self, row: int, draws: torch.Generator | None, count: int) -> Tensor:
        path = self.path(row)
        try:
            picture = open_picture(path)
        except OSError as error:
            self.unreadable.note(path, error)
            return torch.full((count, 3, self.side, self.side), _GREY, dtype=torch.uint8)
        return torch.stack(
            [
                resized_crop(picture, self._choose_window(picture, draws), self.side)
                for _ in range(count)
            ]
        )

    def _choose_window(self, picture: Image.Image, draws: torch.Generator | None) -> Window:
        if draws is None:
            return centre_window(picture.height, picture.width)
        return random_window(draws, picture.height, picture.width, flip=self.flip)
