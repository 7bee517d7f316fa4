"""What the input costs compared with the step: slices of the arrays, weak and strong views.

    python benchmarks/input_cost.py [--model resnet29] [--method ieg] [--rounds 5]

Times reading a CIFAR-sized batch of 100 noisy and 100 trusted pictures as a run does, making its
views with each kind of strong view, and the method's step: objective and descent. (The pictures are
random; pixel values hardly change the cost.) CPU time of this process, in one thread; all take
turns, and medians are compared.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.step_cost import build_method, random_batches
from datamodules.augment import STRONG_VIEWS, Augment
from datamodules.augment_draws import WHOLE_BATCH
from datamodules.batch import Step
from datamodules.images import ArrayImages
from datamodules.labelled_images import LabelledImages
from datamodules.randomness import torch_generator
from datamodules.samplers import EndlessOrder, ExampleStream, TrainingSteps
from runs.freed_memory import keep_freed_memory

SIZE, BATCH, SIDE = 50_000, 100, 32
VIEWS_A_STEP = 5  # batches timed together, because one takes only milliseconds


def training_steps() -> TrainingSteps:
    """Return the steps that a loader reads, from random training pictures in memory."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (SIZE, 3, SIDE, SIDE), dtype=np.uint8))
    label, rows = rng.integers(0, 10, SIZE), np.arange(SIZE)
    examples = LabelledImages(ArrayImages(image), label, label, rows)

    def stream(purpose: str, shuffle: bool) -> ExampleStream:
        order = EndlessOrder(SIZE, BATCH, seed=0, purpose=purpose, shuffle=shuffle)
        return ExampleStream(examples, order, purpose)

    return TrainingSteps(stream("train", True), stream("probe", False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet29")
    parser.add_argument("--method", default="ieg")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    data = training_steps()
    batches_read = [data[number] for number in range(VIEWS_A_STEP)]
    module = build_method([f"method={args.method}"], args.model, torch.device("cpu"))
    step = Step(*random_batches(BATCH, SIDE, torch.device("cpu")), batch=None)  # type: ignore[arg-type]
    number = 0

    def read_batches() -> None:
        nonlocal number
        for _ in range(VIEWS_A_STEP):
            number += 1
            data[number]

    def views(strong: str) -> Callable[[], None]:
        augment = Augment(strong=strong)

        def make() -> None:
            for place, (noisy, trusted) in enumerate(batches_read):
                assert trusted is not None
                generator = torch_generator(number, "train views", place)
                augment.views(noisy.image, generator, WHOLE_BATCH, strong=module.uses_strong_view)
                augment.weak(trusted.image, generator)

        return make

    kinds = STRONG_VIEWS if module.uses_strong_view else ("none",)
    inputs = {"slices": read_batches, **{f"views, {kind}": views(kind) for kind in kinds}}
    seconds_by_work: dict[str, list[float]] = {name: [] for name in [*inputs, "step"]}
    for round_number in range(args.rounds + 1):
        for name, work in {**inputs, "step": lambda: module.training_step(step, 0)}.items():
            start = time.process_time()
            work()
            seconds = (time.process_time() - start) / (1 if name == "step" else VIEWS_A_STEP)
            if round_number:  # the first round fills caches and creates momentum
                seconds_by_work[name].append(seconds)
    medians = {
        name: statistics.median(all_seconds) for name, all_seconds in seconds_by_work.items()
    }
    print(
        f"{args.method}, {args.model}, {BATCH} images of {SIDE}x{SIDE}: "
        f"a step {medians['step'] * 1e3:.0f} ms"
    )
    for name in inputs:
        print(f"{name:32s} {medians[name] * 1e3:6.2f} ms  {medians[name] / medians['step']:6.2%}")


if __name__ == "__main__":
    main()
