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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batch import Batch, Step, Views
from lightning_modules import base, ieg, meta_step, supervised
from lightning_modules.base import NoisyLabelModule
from lightning_modules.mixup import MixupDraws
from runs.build import build_module, build_schedule
from tests import golden
from tests.compose import settings

Record = Mapping[str, golden.Array]

# Of the noise table, and the method it was measured with; A2 is A at a small learning rate.
COLUMNS = {"A": "ieg", "A2": "ieg", "C": "l2r", "E": "supervised"}

# A record holds float32 numbers, which are half a unit in their last place off.
FLOAT32 = 2.0**-24


def replay(
    record: Record,
    *overrides: str,
    inputs: Record | None = None,
    state: Record | None = None,
    precision: str = "32-true",
    steps_per_epoch: int = 500,
    max_steps: int | None = None,
    **trainer: Any,
) -> "Nearness":
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
    pl.Trainer(
        accelerator="cpu",
        max_steps=len(steps),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **trainer,
    ).fit(module, DataLoader(cast(Any, steps), batch_size=None))


def recorded_module(
    record: Record, *overrides: str, state: Record | None = None, steps_per_epoch: int = 500
) -> NoisyLabelModule:
    """Return the method that settings describe, with recorded weights and recorded draws."""
    classes = record["step1/logits_weak"].shape[1]
    data = cast(Any, SimpleNamespace(num_classes=classes, steps_per_epoch=steps_per_epoch))
    wanted = settings("dataset=cifar10_uniform", *overrides)
    module = build_module(wanted, data, build_schedule(wanted, data)[0])
    variables = [str(name) for name in record["meta/variable_names"]]
    golden.load_variables(module.net, variables, state or golden.load("resnet29_init_state"))
    module.averaged = base.AveragedNetwork(module.net)

    def recorded_draws(generator: Any, train: Views, probe: Views | None) -> MixupDraws | None:
        step = f"step{module.global_step + 1}"
        return mixup_draws(record, step) if f"{step}/mix_perm" in record else None

    module.draw = recorded_draws  # type: ignore[method-assign]
    return module


def mixup_draws(record: Record, step: str) -> MixupDraws:
    """Return what the reference drew to mix one step's batch."""
    return MixupDraws(
        torch.from_numpy(record[f"{step}/probe_mix_idx"].astype(np.int64)),
        torch.from_numpy(record[f"{step}/mix_uniform"]),
        torch.from_numpy(record[f"{step}/mix_perm"].astype(np.int64)),
    )


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


class Nearness(pl.Callback):
    """Watches steps and notes how near they come to the record.

    Args:
        record: the arrays of one golden file.
        first_weak: images that are judged after the last step.
    """

    def __init__(self, record: Record, first_weak: Tensor) -> None:
        self.record = record
        self.first_weak = first_weak
        self.variables = [str(name) for name in record["meta/variable_names"]]
        self.reached: dict[str, float] = {}  # "step1/weight" → relative distance
        self.row: dict[str, str] = {}  # "step1/xe_l_loss" → its row in the noise table
        self.exact: dict[str, bool] = {}  # "step1/new_eps" → whether it is the very value
        self.seen: dict[str, list[tuple[Any, Any]]] = {}  # calls of this step: arguments, result
        self.sides: dict[int, list[Tensor]] = {}  # step → which inputs of each ReLU are above 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note what the steps' own functions are given and what they return."""
        with ExitStack() as stack:
            for owner, name in (
                (ieg, "guess_labels"),
                (ieg, "mix"),
                (ieg, "mixup_losses"),
                (supervised, "cross_entropy"),
                (meta_step, "meta_gradient"),
                (meta_step.Verdict, "weighted_sum"),
                (meta_step.LabelLosses, "mixed"),
                (base, "averaging_decay"),
            ):
                watched = self._watched(name, getattr(owner, name))
                stack.enter_context(mock.patch.object(owner, name, watched))
            stack.enter_context(mock.patch.object(F, "relu", self._relu))
            yield

    def _relu(self, x: Tensor, inplace: bool = False) -> Tensor:
        self.sides.setdefault(self.number, []).append(x.detach() > 0)
        return torch.relu(x)

    def flips(self, other: "Nearness", step: int) -> int:
        """Return how many ReLU inputs, up to a step, lie on another side of 0 than in `other`."""
        return sum(
            int((ours != theirs).sum())
            for number in range(1, step + 1)
            for ours, theirs in zip(self.sides[number], other.sides[number], strict=True)
        )

    def _watched(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            self.seen.setdefault(name, []).append((args, result))
            return result

        return watched

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.clear()
        self.number = batch_idx + 1
        self.penalty = module.penalty(module.theta()).detach()

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        self.grad = {name: value.grad.clone() for name, value in module.net.named_parameters()}

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Compare everything that is on record of this step."""
        self.step, self.net = f"step{self.number}", module.net
        self.number = 0  # what comes now is no step's
        objective = outputs["objective"]
        self._note("logits_weak", objective.logits)
        self._note("total_loss", objective.loss)
        self._note("reg_loss", self.penalty)
        if "meta_gradient" in self.seen:
            self._meta_step(objective)
        else:
            self._note("ce_loss", self.seen["cross_entropy"][0][1].mean())
        if "mix" in self.seen:
            self._ieg(objective)
        self._note_list("grad", self.grad)
        self._note_list("after/vars", module.theta())
        self._note_list("after/momentum", module.momentum_buffers() or {})
        self._note_list("after/ema", dict(module.averaged.net.named_parameters()))
        statistics = golden.statistic_names(module.net, self.variables).items()
        self._put(
            "after/bn",
            golden.distance_of_all(
                (golden.to_tf(module.net.get_buffer(mine)), self._recorded(f"after/bn/{theirs}"))
                for theirs, mine in statistics
            ),
        )
        self._same("global_step_after", trainer.global_step)
        # one float32 operation, or a few
        self._same("lr", np.float32(module.optimizers().param_groups[0]["lr"]))
        self._same("ema_decay", np.float32(self.seen["averaging_decay"][0][1]))
        self._note_evaluation(module)

    def _meta_step(self, objective: Any) -> None:
        found = self.seen["meta_gradient"][0][1]
        per_example = "net_cost2" if "mix" in self.seen else "net_cost"
        self._note(per_example, self.seen["weighted_sum"][0][0][1])
        self._note("weight", objective.example_weight)
        self._note("grad_target", found.weight)
        self._note("lookahead_loss", found.inner_loss)
        self._note("meta_loss_total", found.probe_loss)
        self._note("logits_probe_lookahead", found.probe_logits)
        self._note_list("lookahead_grad", found.inner_gradient)
        self._note_list("lookahead_params", found.theta_ahead)
        self._note_list("meta_grad", found.probe_gradient)

    def _ieg(self, objective: Any) -> None:
        (_, strong, *_), _ = self.seen["guess_labels"][0]
        (mixed_logits, mixed_label), (trusted, guessed) = self.seen["mixup_losses"][0]
        images = self.seen["mix"][0][1].image
        chosen = [result for args, result in self.seen["mixed"] if args[1] is objective.label_mix]
        self._same("new_eps", objective.label_mix.numpy().astype(np.float32))
        self._note("grad_eps", self.seen["meta_gradient"][0][1].label_mix)
        self._note("logits_strong", strong)
        self._note("guessed_label", objective.pseudo_label)
        self._note("net_cost1", chosen[0])
        self._note("net_loss1", objective.terms["train/loss_label_mix"], like="net_cost1")
        self._note("net_loss2", objective.terms["train/loss_weighted"], like="weight")
        self._note("mix_labels", mixed_label, like="guessed_label")
        self._mixed_images(images)
        self._note("logits_mix", mixed_logits)
        self._note("xe_l_loss", trusted, like="logits_mix")
        self._note("xe_u_loss", guessed, like="logits_mix")
        self._note("xe_loss", objective.terms["train/loss_mixup"])
        self._note("cs_loss", objective.terms["train/loss_consistency"])

    def _mixed_images(self, images: Tensor) -> None:
        """Compare rows 0 and B in full, of the others mean and spread: a blend of known inputs."""
        if f"{self.step}/mix_images_first2" not in self.record:
            return
        first = golden.images_to_torch(self._recorded("mix_images_first2"))
        ours = images[:: len(images) // 3][:2]
        self._put("mix_images_first2", golden.distance(ours, first.numpy()), like="float32")
        rows = images.double().flatten(1)
        for name, ours in (("mean", rows.mean(1)), ("std", rows.std(1, correction=0))):
            name = f"mix_images_{name}"
            self._put(name, golden.distance(ours, self._recorded(name)), like="float32")

    def _note_evaluation(self, module: Any) -> None:
        key = "after/eval_logits_on_step1_images_weak"
        if f"{self.step}/{key}" in self.record:
            module.eval()
            with torch.no_grad():
                self._note(key, module(self.first_weak.to(self.grad_dtype)), "after/eval_logits")
            module.train()

    @property
    def grad_dtype(self) -> torch.dtype:
        """The precision of the run."""
        return next(iter(self.grad.values())).dtype

    def _recorded(self, name: str) -> golden.Array:
        return self.record[f"{self.step}/{name}"]

    def _same(self, name: str, ours: Any) -> None:
        if f"{self.step}/{name}" in self.record:
            self.exact[f"{self.step}/{name}"] = np.array_equal(ours, self._recorded(name))

    def _note(self, name: str, ours: Tensor, like: str | None = None) -> None:
        if f"{self.step}/{name}" in self.record:
            self._put(name, golden.distance(ours, self._recorded(name)), like)

    def _note_list(self, name: str, ours: Mapping[str, Tensor]) -> None:
        if not ours or f"{self.step}/{name}/fp_l2" not in self.record:
            return
        names = golden.parameter_names(self.net, self.variables)
        arrays = {theirs: golden.to_tf(ours[mine]) for theirs, mine in names.items()}
        key = f"{self.step}/{name}"
        self._put(name, golden.distance_of_list(self.record, key, arrays))

    def _put(self, name: str, reached: float, like: str | None = None) -> None:
        key = f"{self.step}/{name}"
        self.reached[key], self.row[key] = reached, like or name

    def noise(self, key: str, column: str) -> float:
        """Return what the table says of a quantity, but no less than float32 can tell apart."""
        row = golden.noise_table().get(self.row[key], {})
        return max(row.get(f"{column} s{step_of(key)}", 0.0), FLOAT32)


def step_of(key: str) -> int:
    """Return the number in a key such as "step3/weight"."""
    return int(key.partition("/")[0].removeprefix("step"))


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
