"""Images per second of the strong view, and of torchvision's AutoAugment image by image.

python benchmarks/augment_speed.py [--side 32] [--batch 100] [--repeats 10] [--threads 1]

Both start from uint8 images in memory and end with a normalised float batch: policy, padded crop
and flip. Ours also makes the weak view first and cuts a hole; torchvision's has its own 25
policies. Repeats alternate, so that a busy machine slows both; the medians are compared.
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

from datamodules.augment import Augment


def seconds(make: Callable[[], object]) -> float:
    start = time.perf_counter()
    make()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=10)
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
    contenders: dict[str, Callable[[], object]] = {
        "ours: weak and strong view": lambda: augment.strong(
            augment.weak(image, generator), generator
        ),
        "torchvision: policy, crop, flip, tensor": lambda: torch.stack(
            [whole(picture) for picture in pictures]
        ),
        "torchvision: policy alone": lambda: [alone(picture) for picture in pictures],
    }
    for make in contenders.values():
        make()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.repeats):
        for name, make in contenders.items():
            times[name].append(seconds(make))
    rates = {name: args.batch / statistics.median(taken) for name, taken in times.items()}
    ours = next(iter(rates.values()))
    for name, rate in rates.items():
        print(f"{name:42s} {rate:9.0f} images/s   ours is {ours / rate:5.1f} times as fast")


if __name__ == "__main__":
    main()
