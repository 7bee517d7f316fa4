"""How fast `mode=check` looks at pictures: each is decoded whole and compared with all others.

python benchmarks/check_speed.py [--count 60000] [--side 64] [--folder …]

Makes photograph-like JPEGs, of about 2.5 KiB at 64 pixels, in a temporary folder, and looks at them
as `mode=check` does, on all cores. They are in the system's file cache, as after a download. Also
prints the system's load before, which is due to other programs.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from datamodules.labelled_images import LabelledImages
from datamodules.pictures import PictureFiles
from datamodules.unreadable import Unreadable
from datamodules.workers import available_cores
from inspection.duplicates import group_equal_pictures, sort_by_kind
from inspection.picture_scan import scan_splits

CLASSES = 10
# One in so many pictures is a copy of the one before.
COPY_EVERY = 1000


def write_pictures(folder: Path, count: int, side: int) -> list[str]:
    """Write pictures of smooth patches with some grain; return their names."""
    rng = np.random.default_rng(0)
    names = [f"{number:06d}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        if number % COPY_EVERY == 1:
            (folder / name).write_bytes((folder / names[number - 1]).read_bytes())
            continue
        coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))
        grain = rng.normal(0, 6, (side, side, 1))
        pixels = (smooth + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name, quality=92)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--folder", type=Path, help="where to make them; a temporary one without")
    args = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        names = write_pictures(folder, args.count, args.side)
        size = sum((folder / picture_name).stat().st_size for picture_name in names) / len(names)
        print(f"{args.count:,} JPEGs of {args.side}x{args.side}, {size / 1024:.1f} KiB each")
        files = PictureFiles(
            folder, names, side=args.side, seed=0, flip=False, unreadable=Unreadable()
        )
        rows = np.arange(args.count)
        label = rows % CLASSES
        start = time.perf_counter()
        scanned = scan_splits({"noisy": LabelledImages(files, label, label, rows)}, Console())
        scan_seconds = time.perf_counter() - start
        groups = group_equal_pictures({"noisy": scanned["noisy"].digests}, {"noisy": label})
        duplicates = sort_by_kind(groups)
        compare_seconds = time.perf_counter() - start - scan_seconds
    copies = len(duplicates.other_label)
    assert copies == len(range(1, args.count, COPY_EVERY)), copies
    assert not scanned["noisy"].problems
    print(
        f"looked at in {scan_seconds:.1f} s on {available_cores()} cores "
        f"({args.count / scan_seconds:,.0f} a second), compared in {compare_seconds:.2f} s, "
        f"{copies} copies found; load before: {load:.1f}"
    )


if __name__ == "__main__":
    main()
