"""Replay recorded steps of the reference through the real Trainer, and say how near they come.

    python -m tests.lightning_modules.replay case_A_ieg.npz
    python -m tests.lightning_modules.replay other.npz --column A2 --precision 64-true \
        method=ieg method.ce_factor=3 learning_rate=0.005

What is not on record is left out. A record that does not begin at step 0 is refused.

Settings are composed as `train.py` composes them and the module is built as it builds it; only
batches, starting weights and random draws come from files. Measures, and the table of how much an
independent float64 implementation differs from the same records, are the golden README's.
"""

import argparse
import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batch import Batch, Step, Views
from lightning_modules.base import NoisyLabelModule
from lightning_modules.ema import AveragedNetwork
from lightning_modules.ieg import IEGDraws
from lightning_modules.mixup import MixupDraws
from runs.build import build_module, build_schedule
from tests import golden
from tests.compose import settings
from tests.lightning_modules.nearness import Nearness, Record

# Of the noise table, and the method it was measured with; A2 is A at a small learning rate.
COLUMNS = {"A": "ieg", "A2": "ieg", "C": "l2r", "E": "supervised"}


def replay(
    record: Record,
    *overrides: str,
    inputs: Record | None = None,
    state: Record | None = None,
    precision: str = "32-true",
    steps_per_epoch: int = 500,
    max_steps: int | None = None,
    **trainer: Any,
) -> Nearness:
    """Train for the recorded steps; return how near each recorded quantity was met.

    Args:
        record: the arrays of a file such as `case_A_ieg.npz`.
        overrides: of the settings, as on the command line, `method=` among them.
        inputs: the file with the batches, if `record` has none.
        state: the file with the starting weights; by default ResNet-29's for 10 classes.
        precision: of the Trainer: `32-true` or `64-true`.
        steps_per_epoch: length of the schedule's first cycle.
        max_steps: stop after so many.
        trainer: further arguments of the Trainer.
    """
    if record.get("init/global_step", 0):
        raise ValueError(
            f"The record begins at step {record['init/global_step']}: replay begins at 0."
        )
    steps = recorded_steps(record if inputs is None else inputs)[:max_steps]
    near = Nearness(record, steps[0].train.weak)
    module = recorded_module(record, *overrides, state=state, steps_per_epoch=steps_per_epoch)
    with near.watching():
        fit(module, steps, callbacks=[near], precision=precision, **trainer)
    return near


def fit(module: NoisyLabelModule, steps: list[Step], **trainer: Any) -> None:
    """Take the steps by a Trainer."""
    # Trainer and module refer to each other: left to Python, those of the tests before, with the
    # graphs of their last steps, pile up to gigabytes.
    gc.collect()
    pl.Trainer(
        max_steps=len(steps),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **{"accelerator": "cpu", **trainer},
    ).fit(module, DataLoader(cast(Any, steps), batch_size=None))


def recorded_module(
    record: Record, *overrides: str, state: Record | None = None, steps_per_epoch: int = 500
) -> NoisyLabelModule:
    """Return the method that settings describe, with recorded weights and recorded draws."""
    classes = record["step1/logits_weak"].shape[1]
    facts = {"num_classes": classes, "steps_per_epoch": steps_per_epoch, "test_names": ("test",)}
    data = cast(Any, SimpleNamespace(**facts))
    wanted = settings("dataset=cifar10_uniform", *overrides)
    module = build_module(wanted, data, build_schedule(wanted, data)[0])
    variables = [str(name) for name in record["meta/variable_names"]]
    golden.load_variables(module.net, variables, state or golden.load("resnet29_init_state"))
    module.averaged = AveragedNetwork(module.net)

    def recorded_draws(generator: Any, train: Views, probe: Views | None) -> IEGDraws | None:
        step = f"step{module.global_step + 1}"
        return ieg_draws(record, step) if f"{step}/mix_perm" in record else None

    module.draw = recorded_draws  # type: ignore[method-assign]
    return module


def ieg_draws(record: Record, step: str) -> IEGDraws:
    """Return what the reference drew to mix one step's batch."""
    mixup = MixupDraws(
        torch.from_numpy(record[f"{step}/probe_mix_idx"].astype(np.int64)),
        torch.from_numpy(record[f"{step}/mix_uniform"]),
        torch.from_numpy(record[f"{step}/mix_perm"].astype(np.int64)),
    )
    return IEGDraws(mixup)


def recorded_steps(inputs: Record) -> list[Step]:
    """Return the batches of all steps on record."""
    return [
        recorded_step(inputs, f"step{number}")
        for number in range(1, 1 + sum(key.endswith("/in/labels") for key in inputs))
    ]


def recorded_step(inputs: Record, step: str) -> Step:
    """Return the batches of one step."""

    def images(name: str) -> Tensor | None:
        key = f"{step}/in/{name}"
        return golden.images_to_torch(inputs[key]) if key in inputs else None

    def labels(name: str) -> Tensor:
        return torch.from_numpy(inputs[f"{step}/in/{name}"].astype(np.int64))

    weak, trusted, label = images("images_weak"), images("probe_images"), labels("labels")
    assert weak is not None
    probe = None if trusted is None else Views(trusted, None, labels("probe_labels"))
    empty = torch.empty(0)
    batch = Batch(empty, label, labels("labels_clean"), empty)
    return Step(Views(weak, images("images_strong"), label), probe, batch)


def main() -> None:
    """Print a line for each quantity of each step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("record", help="a file, or the name of one among the golden vectors")
    parser.add_argument("overrides", nargs="*", help="settings, as for train.py")
    parser.add_argument("--inputs", help="file with the batches, if the record has none")
    parser.add_argument("--state", help="file with the starting weights")
    parser.add_argument("--column", choices=list(COLUMNS), help="of the noise table")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "64-true"])
    parser.add_argument("--steps-per-epoch", type=int, default=500)
    args = parser.parse_intermixed_args()

    def read(name: str | None) -> Record | None:
        if name is None:
            return None
        return np.load(name) if Path(name).exists() else golden.load(name.removesuffix(".npz"))

    record = read(args.record)
    assert record is not None
    kind = "A" if "step1/mix_perm" in record else "C" if "step1/weight" in record else "E"
    column = args.column or kind
    if not any(word.startswith("method=") for word in args.overrides):
        args.overrides.append(f"method={COLUMNS[kind]}")
    near = replay(
        record,
        *args.overrides,
        inputs=read(args.inputs),
        state=read(args.state),
        precision=args.precision,
        steps_per_epoch=args.steps_per_epoch,
    )
    for key, reached in near.reached.items():
        noise = near.noise(key, column)
        print(f"{key:48s} {reached:8.1e}, {reached / noise:6.2f} times the noise {noise:.0e}")
    for key, same in near.exact.items():
        print(f"{key:48s} {'the very value' if same else 'ANOTHER VALUE'}")


if __name__ == "__main__":
    main()
