"""Look at every picture of a run once, and find unreadable ones and duplicates.

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
FEW = 1000
_CHUNK = 64
_DIGEST = 16  # bytes: enough that no two pictures of the largest lists agree by chance
_SECONDS_BETWEEN_LINES = 30.0


class Seen(NamedTuple):
    """What was found in place of a picture."""

    digest: bytes = b""  # of its pixels; b"" if it cannot be read
    problem: str = ""  # MISSING or UNREADABLE
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Split:
    """What was found in the pictures of a split, in its order.

    Args:
        of: the pictures with their labels.
        digests: of each picture's pixels, b"" if it cannot be read.
        trouble: place in the split → what is wrong there.
    """

    of: LabelledImages
    digests: list[bytes] = field(default_factory=list)
    trouble: dict[int, Seen] = field(default_factory=dict)

    def name(self, place: int) -> str:
        """Return a picture's name: its path as the list has it, or its row."""
        row = int(self.of.index[place])
        images = self.of.images
        return images.name(row) if isinstance(images, PictureFiles) else f"row {row}"

    def add(self, seen: Seen) -> None:
        """Add the next picture's."""
        if seen.problem:
            self.trouble[len(self.digests)] = seen
        self.digests.append(seen.digest)


def look_at_all(splits: Mapping[str, LabelledImages], console: Console) -> dict[str, Split]:
    """Look at every picture of some splits, on all cores, with a progress bar.

    Args:
        splits: name → pictures and labels.
        console: where the bar goes; if it is no terminal, a line now and then.
    """
    total, done, said = sum(map(len, splits.values())), 0, time.monotonic()
    found = {name: Split(of) for name, of in splits.items()}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("looking at pictures", total=total)
        for split in found.values():
            for seen in look_at(split.of.images, split.of.index.numpy()):
                for one in seen:
                    split.add(one)
                done += len(seen)
                bar.update(task, completed=done)
                if bar.disable and time.monotonic() - said > _SECONDS_BETWEEN_LINES:
                    said = time.monotonic()
                    console.print(f"looked at {done:,} of {total:,} pictures", highlight=False)
    return found


def look_at(images: Images, rows: Rows) -> Iterator[list[Seen]]:
    """Yield what is found in rows (N,), in their order, some at a time."""
    chunks = np.array_split(rows, -(-len(rows) // _CHUNK)) if len(rows) else []
    if not isinstance(images, PictureFiles):
        for chunk in chunks:
            yield look_at_pixels(images, chunk)
        return
    few = len(rows) <= FEW
    yield from DataLoader(
        _Chunks(images, chunks),
        batch_size=None,
        num_workers=0 if few else available_cores(),
        collate_fn=_as_it_is,
        worker_init_fn=leave_signals_to_parent,
    )


def look_at_file(path: Path) -> Seen:
    """Decode a whole picture; return the digest of its pixels, or what is wrong."""
    try:
        picture = open_picture(path)
        if picture.mode != "RGB":
            picture = picture.convert("RGB")
        return Seen(_digest(picture.tobytes(), picture.height, picture.width))
    except (FileNotFoundError, NotADirectoryError):
        return Seen(problem=MISSING, detail="there is no such file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Seen(problem=UNREADABLE, detail=" ".join(reason.split()))


def look_at_pixels(images: Images, rows: Rows) -> list[Seen]:
    """Return the digests of images in memory."""
    import torch

    pixels = images.for_evaluation(torch.from_numpy(rows)).numpy()
    return [Seen(_digest(one.tobytes(), *one.shape[1:])) for one in pixels]


class _Chunks(Dataset[list[Seen]]):
    """Chunks of files, so that processes seldom have to communicate."""

    def __init__(self, files: PictureFiles, chunks: list[Rows]) -> None:
        self.files = files
        self.chunks = chunks

    def __len__(self) -> int:
        return len(self.chunks)

    def __getitem__(self, number: int) -> list[Seen]:
        return [look_at_file(self.files.path(row)) for row in self.chunks[number].tolist()]


def _digest(pixels: bytes, height: int, width: int) -> bytes:
    size = f"{height}x{width} ".encode()
    return hashlib.sha256(size + pixels).digest()[:_DIGEST]


def _as_it_is(seen: list[Seen]) -> list[Seen]:
    return seen
