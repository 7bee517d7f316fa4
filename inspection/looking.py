"""Every picture that a run would look at, looked at once.

Two pictures are the same if their pixels are: decoded whole, upright, in 8 bits of red, green and
blue, and of one size, which is what training sees. A copy that was saved anew without loss, or with
other remarks in its file, is found; one that was made smaller or compressed again is another.
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
from datamodules.labelled import LabelledImages, Rows
from datamodules.pictures import PictureFiles, open_picture
from datamodules.workers import cores, leave_signals_to_the_run

MISSING, UNREADABLE = "missing", "unreadable"

# Processes are only worth their start where there is this much to do.
FEW = 1000
_CHUNK = 64
_DIGEST = 16  # bytes; of the largest lists there are, no two will agree by chance
_SECONDS_BETWEEN_LINES = 30.0


class Seen(NamedTuple):
    """What was found where a picture should be."""

    digest: bytes = b""  # of its pixels; b"": there are none to see
    problem: str = ""  # MISSING or UNREADABLE
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Split:
    """What was found at the pictures of a split, in its order.

    Args:
        of: the pictures with their labels.
        digests: of each one's pixels, b"" where there are none.
        trouble: place → what is wrong there.
    """

    of: LabelledImages
    digests: list[bytes] = field(default_factory=list)
    trouble: dict[int, Seen] = field(default_factory=dict)

    def name(self, place: int) -> str:
        """Return what a picture is called: its path as the list has it, or its row."""
        row = int(self.of.index[place])
        images = self.of.images
        return images.name(row) if isinstance(images, PictureFiles) else f"row {row}"

    def add(self, seen: Seen) -> None:
        """Take in the next one."""
        if seen.problem:
            self.trouble[len(self.digests)] = seen
        self.digests.append(seen.digest)


def look_at_all(splits: Mapping[str, LabelledImages], console: Console) -> dict[str, Split]:
    """Look at every picture of some splits, on all cores, with a bar.

    Args:
        splits: name → pictures and labels.
        console: where the bar goes; without a terminal, a line now and then.
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
    """Yield what is found at rows (N,), some at a time, in their order."""
    chunks = np.array_split(rows, -(-len(rows) // _CHUNK)) if len(rows) else []
    if not isinstance(images, PictureFiles):
        for chunk in chunks:
            yield look_at_pixels(images, chunk)
        return
    few = len(rows) <= FEW
    yield from DataLoader(
        _Chunks(images, chunks),
        batch_size=None,
        num_workers=0 if few else cores(),
        collate_fn=_as_it_is,
        worker_init_fn=leave_signals_to_the_run,
    )


def look_at_file(path: Path) -> Seen:
    """Open a picture, decode all of it, and return the digest of its pixels."""
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

    pixels = images.plain(torch.from_numpy(rows)).numpy()
    return [Seen(_digest(one.tobytes(), *one.shape[1:])) for one in pixels]


class _Chunks(Dataset[list[Seen]]):
    """Some files at a time, so that processes speak seldom."""

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
