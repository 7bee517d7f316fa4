"""How far the switches of `speed`, and bfloat16, move a step's results from those in float64.

    python benchmarks/rounding.py [--method ieg] [--model resnet11] [--dataset digits_asym]
    python benchmarks/rounding.py --device cuda --dataset cifar10_asym --model resnet29

A network is trained for some steps at learning rate 0.1. Then each variant computes the next steps
from the same weights, momentum, examples and draws, and is compared with float64: the norm of the
difference relative to the norm, for logits, example weights ω* and the loss's gradient; and the
share of examples whose label choice λ* flips, or whose ω* is 0 in only one of the two. Medians over
the steps. Even rounding in float32 can flip these: an example's derivative may be arbitrarily near
to 0.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from lightning_fabric.utilities import move_data_to_device
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.composed import settings
from benchmarks.step_cost import build_method
from datamodules.batch import Step, Views
from datamodules.randomness import torch_generator
from lightning_modules.base import NoisyLabelModule
from lightning_modules.objective import Objective
from lightning_modules.schedules import Schedule
from runs.build import build_data

# name → settings, and autocast's type.
VARIANTS: dict[str, tuple[list[str], torch.dtype | None]] = {
    "float32": ([], None),
    "speed.compile": (["speed.compile=true"], None),
    "speed.channels_last": (["speed.channels_last=true"], None),
    "speed.tf32": (["speed.tf32=true"], None),
    "trainer.precision=bf16-mixed": ([], torch.bfloat16),
    "bf16-mixed, meta.float32=false": (["meta.float32=false"], torch.bfloat16),
}


class StepResult(NamedTuple):
    """What a variant computes in a step."""

    logits: Tensor
    weight: Tensor | None
    label_mix: Tensor | None
    gradient: Tensor


def run_steps(args: argparse.Namespace, module: NoisyLabelModule) -> Iterator[Step]:
    """Yield the inputs of a run's steps, with views."""
    overrides = [f"dataset={args.dataset}", f"method={args.method}", f"data_dir={args.data_dir}"]
    data = build_data(settings(*overrides, "logger=none"))
    data.prepare_data()
    data.setup("fit")
    trainer: Any = SimpleNamespace(
        lightning_module=module, global_rank=0, world_size=1, global_step=0
    )
    trainer.strategy = SimpleNamespace(root_device=args.device)
    data.trainer = trainer
    for drawn in data.train_dataloader():
        on_device = data.transfer_batch_to_device(drawn, args.device, 0)
        step = data.on_after_batch_transfer(on_device, 0)
        assert isinstance(step, Step)
        yield step
        trainer.global_step += 1


def compute_step(
    module: NoisyLabelModule, step: Step, number: int, autocast: AbstractContextManager
) -> StepResult:
    """Compute a step's objective, and the gradient of its loss."""

    def in_network_type(views: Views | None) -> Any:
        if views is None:
            return None
        dtype = next(module.net.parameters()).dtype
        strong = None if views.strong is None else views.strong.to(dtype)
        return views._replace(weak=views.weak.to(dtype), strong=strong)

    with autocast:
        step_objective = objective(
            module, in_network_type(step.train), in_network_type(step.probe), number
        )
    gradients = torch.autograd.grad(step_objective.loss, list(module.net.parameters()))
    flat = torch.cat([slope.double().reshape(-1) for slope in gradients])
    return StepResult(
        step_objective.logits, step_objective.example_weight, step_objective.label_mix, flat
    )


def objective(
    module: NoisyLabelModule, train: Views, probe: Views | None, number: int
) -> Objective:
    """Return the method's objective, with the draws of step `number`."""
    draws = module.draw(torch_generator(1, "method", number), train, probe)
    draws = move_data_to_device(draws, train.label.device)
    return module.objective(train, probe, draws)


def relative_error(tensor: Tensor, exact: Tensor) -> float:
    """Return the norm of the difference, relative to the exact norm."""
    return float((tensor.double() - exact).norm() / exact.norm())


def differences(result: StepResult, exact: StepResult) -> list[float]:
    """Return the differences from float64, in the order of `HEAD`."""
    cells = [
        relative_error(result.logits, exact.logits),
        relative_error(result.gradient, exact.gradient),
    ]
    if result.weight is not None and exact.weight is not None:
        cells += [relative_error(result.weight, exact.weight)]
        cells += [float(((result.weight > 0) != (exact.weight > 0)).double().mean())]
    if result.label_mix is not None and exact.label_mix is not None:
        cells += [float((result.label_mix != exact.label_mix).double().mean())]
    return cells


HEAD = ("logits", "gradient", "ω*", "ω* = 0 changes", "λ* changes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet11")
    parser.add_argument("--method", default="ieg")
    parser.add_argument("--dataset", default="digits_asym")
    parser.add_argument("--data-dir", default="./data")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--warm", type=int, default=20, help="steps of training before")
    parser.add_argument("--steps", type=int, default=5, help="that are compared")
    args = parser.parse_args()
    torch.set_num_threads(1)

    method = [f"dataset={args.dataset}", f"method={args.method}"]
    trained = build_method(method, args.model, args.device)
    trained.schedule = Schedule(learning_rate=0.1, steps_per_epoch=500, max_steps=1000)
    run = run_steps(args, trained)
    for number in range(args.warm):
        step = next(run)
        trained.net.zero_grad()
        objective(trained, step.train, step.probe, number).loss.backward()
        trained.sgd_step()
    compared_steps = [next(run) for _ in range(args.steps)]

    def variant(overrides: list[str]) -> NoisyLabelModule:
        module = build_method(method + overrides, args.model, args.device)
        module.load_state_dict(trained.state_dict())
        module._optimiser().load_state_dict(trained._optimiser().state_dict())  # momentum
        return module

    float64_module = variant([]).double()
    for state in float64_module._optimiser().state.values():
        state["momentum_buffer"] = state["momentum_buffer"].double()
    numbered = list(enumerate(compared_steps, args.warm))
    float64_results = {
        number: compute_step(float64_module, step, number, nullcontext())
        for number, step in numbered
    }
    print(f"{args.method}, {args.model}, {args.dataset}, {args.device}, after {args.warm} steps")
    print("| | " + " | ".join(HEAD) + " |\n|---|" + "---|" * len(HEAD))
    for name, (overrides, dtype) in VARIANTS.items():
        if name == "speed.tf32" and args.device.type != "cuda":
            continue
        module = variant(overrides)
        cells = []
        for number, step in numbered:
            autocast = torch.autocast(args.device.type, dtype) if dtype else nullcontext()
            cells.append(
                differences(compute_step(module, step, number, autocast), float64_results[number])
            )
        medians = [statistics.median(column) for column in zip(*cells, strict=True)]
        shown = [f"{value:.1e}" for value in medians[:3]]
        shown += [f"{value:.1%}" for value in medians[3:]]
        print("| " + " | ".join([name, *shown]) + " |", flush=True)


if __name__ == "__main__":
    main()
