"""Scan every picture of a run once, for unreadable ones and duplicates.

Two pictures are the same if they have the same size and the same pixels when decoded as training
does: whole, upright, in 8 bits of red, green and blue. A copy saved again without loss, or with
other metadata, is found; one that was resized or compressed again is not.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader, Dataset

from datamodules.images import Images
from datamodules.labelled_images import LabelledImages, Rows
from datamodules.pictures import PictureFiles, open_picture
from datamodules.workers import available_cores, leave_signals_to_parent

MISSING, UNREADABLE = "missing", "unreadable"

# With up to this many files, starting processes is not worth it.
FEW_FILES = 1000
_CHUNK_SIZE = 64
_DIGEST_BYTES = 16  # bytes: enough that no two pictures of the largest lists agree by chance
_SECONDS_BETWEEN_LINES = 30.0


class ScannedPicture(NamedTuple):
    """What was found when a picture was decoded."""

    digest: bytes = b""  # of its pixels; b"" if it cannot be read
    problem: str = ""  # MISSING or UNREADABLE
    detail: str = ""


@dataclass(frozen=True, eq=False)
class ScannedSplit:
    """What was found in the pictures of a split, in its order.

    Args:
        examples: the pictures with their labels.
        digests: of each picture's pixels, b"" if it cannot be read.
        problems: position in the split → what is wrong there.
    """

    examples: LabelledImages
    digests: list[bytes] = field(default_factory=list)
    problems: dict[int, ScannedPicture] = field(default_factory=dict)

    def name_of(self, position: int) -> str:
        """Return a picture's name: its path as the list has it, or its row."""
        row = int(self.examples.index[position])
        images = self.examples.images
        return images.name(row) if isinstance(images, PictureFiles) else f"row {row}"

    def add(self, picture: ScannedPicture) -> None:
        """Add the next picture's."""
        if picture.problem:
            self.problems[len(self.digests)] = picture
        self.digests.append(picture.digest)


def scan_splits(splits: Mapping[str, LabelledImages], console: Console) -> dict[str, ScannedSplit]:
    """Look at every picture of some splits, on all cores, with a progress bar.

    Args:
        splits: name → pictures and labels.
        console: where the bar goes; if it is no terminal, a line now and then.
    """
    total, scanned_count, last_line_at = sum(map(len, splits.values())), 0, time.monotonic()
    scanned_splits = {name: ScannedSplit(examples) for name, examples in splits.items()}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking at pictures", total=total)
        for split in scanned_splits.values():
            for scanned in scan_rows(split.examples.images, split.examples.index.numpy()):
                for picture in scanned:
                    split.add(picture)
                scanned_count += len(scanned)
                bar.update(task, completed=scanned_count)
                if bar.disable and time.monotonic() - last_line_at > _SECONDS_BETWEEN_LINES:
                    last_line_at = time.monotonic()
                    console.print(
                        f"looked at {scanned_count:,} of {total:,} pictures", highlight=False
                    )
    return scanned_splits


def scan_rows(images: Images, rows: Rows) -> Iterator[list[ScannedPicture]]:
    """Yield what is found in rows (N,), in their order, some at a time."""
    chunks = np.array_split(rows, -(-len(rows) // _CHUNK_SIZE)) if len(rows) else []
    if not isinstance(images, PictureFiles):
        for chunk in chunks:
            yield scan_images(images, chunk)
        return
    is_short = len(rows) <= FEW_FILES
    yield from DataLoader(
        _Chunks(images, chunks),
        batch_size=None,
        num_workers=0 if is_short else available_cores(),
        collate_fn=_unchanged,
        worker_init_fn=leave_signals_to_parent,
    )


def scan_file(path: Path) -> ScannedPicture:
    """Decode a whole picture; return the digest of its pixels, or what is wrong."""
    try:
        picture = open_picture(path)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        return ScannedPicture(_pixel_digest(picture.tobytes(), picture.height, picture.width))
    except (FileNotFoundError, NotADirectoryError):
        return ScannedPicture(problem=MISSING, detail="there is no such file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return ScannedPicture(problem=UNREADABLE, detail=" ".join(reason.split()))


def scan_images(images: Images, rows: Rows) -> list[ScannedPicture]:
    """Return the digests of images in memory."""
    import torch

    pixels = images.for_evaluation(torch.from_numpy(rows)).numpy()
    return [ScannedPicture(_pixel_digest(image.tobytes(), *image.shape[1:])) for image in pixels]


class _Chunks(Dataset[list[ScannedPicture]]):
    """Chunks of files, so that processes seldom have to communicate."""

    def __init__(self, files: PictureFiles, chunks: list[Rows]) -> None:
        self.files = files
        self.chunks = chunks

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, chunk: int) -> list[ScannedPicture]:
        return [scan_file(self.files.path(row)) for row in self.chunks[chunk].tolist()]


def _pixel_digest(pixels: bytes, height: int, width: int) -> bytes:
    size = f"{height}x{width} ".encode()
    return hashlib.sha256(size + pixels).digest()[:_DIGEST_BYTES]


def _unchanged(scanned: list[ScannedPicture]) -> list[ScannedPicture]:
    return scanned
