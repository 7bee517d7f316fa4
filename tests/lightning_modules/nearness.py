"""How near the steps of a training come to recorded ones.

The real functions of a step are watched from outside; measures and the table of noise are the
golden README's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules import base, ieg, meta_gradient, meta_step, supervised
from tests import golden

Record = Mapping[str, golden.Array]

# A record holds float32 numbers, which are half a unit in their last place off.
FLOAT32 = 2.0**-24


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
                (meta_step.MetaStepResult, "weighted_loss"),
                (meta_gradient.LabelLosses, "mixed"),
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
        self._note(per_example, self.seen["weighted_loss"][0][0][1])
        self._note("weight", objective.example_weight)
        self._note("grad_target", found.example_weight_gradient)
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
        self._note("grad_eps", self.seen["meta_gradient"][0][1].label_mix_gradient)
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
