"""Images per second of the strong view, and of torchvision's AutoAugment, image by image.

python benchmarks/augment_speed.py [--side 32] [--batch 100] [--repeats 20] [--threads 1]

Compares the policies alone, uint8 to uint8, and whole views, uint8 to a normalised float batch:
policy, padded crop and flip, where ours also makes the weak view first and cuts a hole (Cutout).
torchvision works on Pillow images and has its own 25 policies. Repeats alternate, so that a busy
machine slows both; the medians are compared.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).parents[1]))

from datamodules.apply_policies import apply_policies
from datamodules.augment import Augment
from datamodules.augment_draws import draw_autoaugment


def seconds(make: Callable[[], object]) -> float:
    start = time.perf_counter()
    make()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1, help="torch's threads, for both")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(args.batch, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(corners, (args.side, args.side), mode="bilinear")
    image = (255 * smooth).to(torch.uint8)
    pictures = [Image.fromarray(one.permute(1, 2, 0).contiguous().numpy()) for one in image]

    augment = Augment()
    alone = v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)
    whole = v2.Compose(
        [
            alone,
            v2.RandomCrop(args.side, padding=args.side // 8),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    rgba = torch.cat([image, torch.full_like(image[:, :1], 255)], dim=1)
    side = args.side

    def policies() -> torch.Tensor:
        return apply_policies(rgba, draw_autoaugment(generator, args.batch, side, side))

    def views() -> torch.Tensor:
        return augment.strong(augment.weak(image, generator), generator)

    contenders: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "policies alone": (policies, lambda: [alone(picture) for picture in pictures]),
        "whole views": (views, lambda: torch.stack([whole(picture) for picture in pictures])),
    }
    print(f"images of {side}x{side}, {args.batch} at a time, {args.threads} threads; images/s")
    for name, pair in contenders.items():
        for make in pair:
            make()
        times = [[seconds(make) for make in pair] for _ in range(args.repeats)]
        ours, theirs = (
            args.batch / statistics.median(round_seconds)
            for round_seconds in zip(*times, strict=True)
        )
        print(f"{name:16s} ours {ours:7.0f}  torchvision {theirs:7.0f}  ratio {ours / theirs:4.1f}")


if __name__ == "__main__":
    main()
