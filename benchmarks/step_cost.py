"""What one training step of each method costs: time, memory, and how far it is from the least.

    python benchmarks/step_cost.py --quick                    (resnet11, a minute or two)
    python benchmarks/step_cost.py [--model resnet29] [--batch 100] [--rounds 5] [--device cuda]
    python benchmarks/step_cost.py --only supervised,l2r,ieg --beside speed.compile=true

With `--beside`, each method's step is also timed with the settings named there, in rows with ` +`
behind their names.

Times whole steps, objective and descent, of the project's own modules without a Trainer, and L2R by
public tools for comparison (`benchmarks/public_l2r.py`). Images are random: pixel values do not
change the cost. All take turns, so that a busy machine slows all, and medians are compared.

F is the time of one forward pass of one batch. By the usual count a backward pass costs 2 F and a
forward-mode pass 3 F; the *floor* adds up what the method needs, without computing any forward pass
twice. *passes* is the sum of the passes that the method makes, each as timed here; what a step
takes beyond that sum is spent elsewhere.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from benchmarks.public_l2r import PUBLIC
from datamodules.batch import Step, Views
from lightning_modules.base import NoisyLabelModule
from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.passes import Passes
from lightning_modules.recorded_step import WARM_UP_STEPS
from lightning_modules.schedules import Schedule
from runs.build import build_module, multiply_float32
from runs.freed_memory import keep_freed_memory

Work = Callable[[], object]
Batches = tuple[Views, Views]


class PassCounts(NamedTuple):
    """The passes of one batch that a step needs."""

    floor: float | None  # F, by the usual count
    forward: int = 0
    backward: int = 0
    jvp: int = 0  # forward-mode passes
    jvp_and_forward: int = 0  # of the same batch, sharing convolutions


# Suffix of the rows with the settings of `--beside`.
BESIDE_SUFFIX = " +"

# name → settings, and the count of passes.
METHODS: dict[str, tuple[list[str], PassCounts]] = {
    "supervised": (["method=supervised"], PassCounts(3, 1, 1)),
    "l2r": (["method=l2r"], PassCounts(8, 1, 2, jvp_and_forward=1)),
    "l2r double backward": (["method=l2r", "meta.engine=double_backward"], PassCounts(13)),
    "ieg": (["method=ieg"], PassCounts(26, 6, 8, 2)),
    "ieg guess detached": (
        ["method=ieg", "method.differentiable_guess=false"],
        PassCounts(22, 6, 7, 1),
    ),
    "ieg double backward": (["method=ieg", "meta.engine=double_backward"], PassCounts(None)),
}


class BareSGD(torch.optim.SGD):
    """An optimiser that also stands in for Lightning's wrapper around it."""

    @property
    def optimizer(self) -> "BareSGD":
        """Return itself."""
        return self


def build_method(overrides: list[str], model: str, device: torch.device) -> NoisyLabelModule:
    """Return a method's module whose `training_step` needs no Trainer."""
    data: Any = SimpleNamespace(num_classes=10, test_names=("test",))
    schedule = Schedule(learning_rate=1e-3, steps_per_epoch=500, max_steps=1000)
    run_settings = settings("dataset=cifar10_asym", f"model={model}", "logger=none", *overrides)
    module: Any = build_module(run_settings, data, schedule).to(device).train()
    optimiser = BareSGD(module.net.parameters(), lr=1e-3, momentum=module.momentum)
    module._optimiser = lambda: optimiser
    module.manual_backward = lambda loss: loss.backward()
    return module


def random_batches(size: int, side: int, device: torch.device) -> Batches:
    """Return a noisy and a trusted batch of random pictures."""
    generator = torch.Generator().manual_seed(0)

    def views(strong: bool) -> Views:
        image = [torch.rand(size, 3, side, side, generator=generator) * 2 - 1 for _ in range(2)]
        weak, other = (one.to(device) for one in image)
        label = torch.randint(10, (size,), generator=generator).to(device)
        return Views(weak, other if strong else None, label)

    return views(True), views(False)


def timed_works(names: list[str], args: argparse.Namespace, data: Batches) -> dict[str, Work]:
    """Return what is timed: single passes, as units of measurement, then the methods' steps."""
    net = build_method(["method=supervised"], args.model, args.device).net
    image = data[0].weak
    theta = dict(net.named_parameters())
    direction = {name: torch.randn_like(value) for name, value in theta.items()}

    def forward_mode() -> None:
        with batch_statistics_only(net):
            Passes(net).jvp(theta, direction, image)

    def forward_mode_and_forward() -> None:
        passes = Passes(net)
        with passes.sharing(image):
            with batch_statistics_only(net):
                passes.jvp(theta, direction, image)
            passes.logits(None, image)

    def both_ways() -> None:
        torch.autograd.grad(net(image).sum(), list(theta.values()))

    def whole_step(overrides: list[str]) -> Work:
        module = build_method(overrides, args.model, args.device)
        step = Step(*data, batch=None)  # type: ignore[arg-type]
        tf32 = "speed.tf32=true" in overrides

        def work() -> None:
            multiply_float32(tf32=tf32)  # a setting of the whole process
            module.training_step(step, 0)

        return work

    def in_float32(work: Work) -> Work:
        def done() -> None:
            multiply_float32(tf32=False)  # an earlier step may have changed it
            work()

        return done

    works: dict[str, Work] = {
        "forward": in_float32(lambda: net(image)),
        "forward and backward": in_float32(both_ways),
        "forward mode": in_float32(forward_mode),
        "forward mode and forward": in_float32(forward_mode_and_forward),
    }
    for name in names:
        if name in METHODS:
            works[name] = whole_step(METHODS[name][0])
            if args.beside:
                works[name + BESIDE_SUFFIX] = whole_step(METHODS[name][0] + args.beside.split(","))
        else:
            public = PUBLIC[name](build_method(["method=l2r"], args.model, args.device), *data)
            works[name] = in_float32(public)
    return works


def seconds(work: Work, device: torch.device) -> float:
    """Return the seconds it takes; with one CPU thread, CPU time, which excludes other programs."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = clock()
    work()
    wait()
    return clock() - start


def peak_bytes(work: Work, device: torch.device) -> int:
    """Return the peak of the bytes that torch allocates, beyond those allocated before.

    On a CPU these are summed up from the allocations and releases in torch's profile: unlike the
    process's size, that depends neither on what ran before nor on freed memory that is kept.
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=False
    ) as profiled:
        work()
    events = profiled.profiler.kineto_results.events()  # type: ignore[union-attr]
    allocations = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    peak = current = 0
    for _, size in allocations:
        current += size
        peak = max(peak, current)
    return peak


def table_row(name: str, seconds: dict[str, float], memory: dict[str, int], batch: int) -> str:
    step_seconds, forward_seconds = seconds[name], seconds["forward"]
    cells = [f"{step_seconds * 1e3:.0f}", f"{1 / step_seconds:.2f}", f"{batch / step_seconds:.0f}"]
    cells += [f"{memory[name] / 2**20:.0f}", f"{step_seconds / forward_seconds:.2f}"]
    if "supervised" in seconds:
        cells += [f"{step_seconds / seconds['supervised']:.2f}"]
        cells += [f"{memory[name] / memory['supervised']:.2f}"]
    else:
        cells += ["", ""]
    pass_counts = METHODS.get(name.removesuffix(BESIDE_SUFFIX), ([], PassCounts(None)))[1]
    cells += ["" if pass_counts.floor is None else f"{pass_counts.floor:.0f}"]
    cells += [
        ""
        if pass_counts.floor is None
        else f"{step_seconds / forward_seconds / pass_counts.floor - 1:+.0%}"
    ]
    backward = seconds["forward and backward"] - forward_seconds
    passes = (
        pass_counts.forward * forward_seconds
        + pass_counts.backward * backward
        + pass_counts.jvp * seconds["forward mode"]
        + pass_counts.jvp_and_forward * seconds["forward mode and forward"]
    )
    cells += [f"{step_seconds / passes - 1:+.0%}" if passes else ""]
    return "| " + " | ".join([name, *cells]) + " |"


HEAD = (
    "| step | ms | steps/s | images/s | peak MiB | F | x supervised | memory x | floor, F "
    "| to floor | to passes |\n|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet29")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--side", type=int, default=32, help="of the pictures, in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--only", default="", help="some of the steps, by commas")
    parser.add_argument("--beside", default="", help="settings for a second row of each, by commas")
    parser.add_argument(
        "--stock-malloc", action="store_true", help="without what `runs.freed_memory` does"
    )
    parser.add_argument("--quick", action="store_true", help="resnet11 and three rounds")
    args = parser.parse_args()
    if args.quick:
        args.model, args.rounds = "resnet11", 3
    torch.set_num_threads(args.threads)
    if not args.stock_malloc:
        keep_freed_memory()
    chosen = args.only.split(",")
    names = [name for name in [*METHODS, *PUBLIC] if not args.only or name in chosen]
    works = timed_works(names, args, random_batches(args.batch, args.side, args.device))

    for work in works.values():  # to create momentum and fill caches
        work()
    memory = {name: peak_bytes(work, args.device) for name, work in works.items()}
    if "speed.cuda_graph=true" in args.beside:
        for _ in range(WARM_UP_STEPS - 1):  # the last of these calls records the graph
            for work in works.values():
                work()
    rounds = [
        {name: seconds(work, args.device) for name, work in works.items()}
        for _ in range(args.rounds)
    ]
    median_seconds = {name: statistics.median(timed[name] for timed in rounds) for name in works}
    where = torch.cuda.get_device_name() if args.device.type == "cuda" else "CPU"
    print(
        f"{args.model}, {args.batch} images of {args.side}x{args.side}, {where}, "
        f"{args.threads} threads, torch {torch.__version__}; median of {args.rounds} rounds"
        + (f"; +: {args.beside}" if args.beside else "")
    )
    print(HEAD)
    for name in works:
        print(table_row(name, median_seconds, memory, args.batch))


if __name__ == "__main__":
    main()
