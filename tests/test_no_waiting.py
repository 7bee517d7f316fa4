"""No step waits for its device: views, method and callbacks run on one that holds no numbers.

On torch's `meta` device tensors have shapes and nothing in them, so whatever must know a number
raises: `.item()`, `.cpu()`, `if`, a boolean index, `unique`. On a GPU each of these makes the
processor wait until all that was asked for is done.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from callbacks.stop_signals import StopSignals
from datamodules.augment import STRONG_VIEWS, Augment
from datamodules.augment_draws import WHOLE_BATCH
from datamodules.large_views import LargeViews
from datamodules.samplers import StepBatches
from runs.build import build_callbacks, build_data, build_module, build_schedule
from runs.folder import RunFolder
from tests.compose import settings

META = torch.device("meta")
STEPS = 3


class Hurried(TorchDispatchMode):
    """Refuses what a device without numbers lets pass, though a GPU would be waited for."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        name = str(func).split(".")[1]
        if name in ("_to_copy", "copy_"):
            source, target = (args[0], made) if name == "_to_copy" else (args[1], args[0])
            hurried = kwargs.get("non_blocking") or args[2:] == (True,)
            assert source.device == target.device or hurried, "a copy that waits"
            return made
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        devices = {one.device for one in given if one.ndim}
        assert len(devices) <= 1, f"{name} of tensors on several devices"
        # `torch.tensor(…, device=…)`
        assert name != "lift_fresh" or made.device != META, "numbers copied by a call that waits"
        if name.startswith("index_put"):
            kinds = {one.dtype for one in args[1] if one is not None}
            assert torch.bool not in kinds, "places that have to be counted"
        return made


def on_device(made: Any) -> Any:
    """Return a batch as a transfer leaves it."""
    if isinstance(made, Tensor):
        return made.to(META, non_blocking=True)
    return None if made is None else type(made)(*map(on_device, made))


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=supervised"],
        ["method=l2r"],
        ["method=ieg"],
        ["method=ieg", "method.guess_rampup_epochs=2"],
        ["method=ieg", "method.guess_trust=2"],
    ],
    ids=" ".join,
)
def test_steps_and_who_watches_them_wait_for_no_device(
    overrides: list[str], tmp_path: Path
) -> None:
    made = settings(
        *overrides, "max_steps=9", "log_every=9", "evaluate_every=9", f"run_dir={tmp_path}"
    )
    data = build_data(made)
    data.setup("fit")
    assert data.steps_per_epoch > STEPS  # at an epoch's end the audit may wait
    schedule, plan = build_schedule(made, data)
    module: Any = build_module(made, data, schedule).to(META).train()
    optimiser: Any = torch.optim.SGD(module.net.parameters(), lr=0.1, momentum=0.9)
    optimiser.optimizer = optimiser
    module._optimiser = lambda: optimiser
    module.manual_backward = lambda loss: loss.backward()
    watching = build_callbacks(made, data, plan, RunFolder(made), StopSignals())
    trainer: Any = SimpleNamespace(
        global_step=0,
        global_rank=0,
        world_size=1,
        max_steps=plan.max_steps,
        is_global_zero=True,
        datamodule=data,
        lightning_module=module,
        callbacks=watching,
        loggers=[],
        strategy=SimpleNamespace(root_device=META),
    )
    data.trainer = trainer
    steps = data.train_dataloader().dataset
    for one in watching:
        one.on_fit_start(trainer, module)
        one.on_train_start(trainer, module)
    for number in range(STEPS):
        batches: Any = steps[number]
        assert isinstance(batches, StepBatches)
        batch = on_device(batches)
        with Hurried():
            views = data.on_after_batch_transfer(batch, 0)
            outputs = module.training_step(views, number)
            trainer.global_step += 1
            for one in watching:
                one.on_train_batch_end(trainer, module, outputs, views, number)
    assert outputs["objective"].loss.device == META


@pytest.mark.parametrize("strong", STRONG_VIEWS)
def test_views_wait_for_no_device(strong: str) -> None:
    image = torch.empty(500, 3, 16, 16, dtype=torch.uint8, device=META)  # every operation comes
    generator = torch.Generator().manual_seed(0)
    with Hurried():
        weak, other = Augment(strong=strong).views(image, generator, WHOLE_BATCH, strong=True)
    assert other is not None
    assert weak.shape == other.shape == image.shape


def test_views_of_large_pictures_wait_for_no_device() -> None:
    windows = torch.empty(500, 2, 3, 16, 16, dtype=torch.uint8, device=META)
    generator = torch.Generator().manual_seed(0)
    with Hurried():
        weak, other = LargeViews().views(windows, generator, WHOLE_BATCH, strong=True)
    assert other is not None
    assert weak.shape == other.shape == windows[:, 0].shape
