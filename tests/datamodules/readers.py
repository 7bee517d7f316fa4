"""What tests of data sets of pictures share: small settings, and one step without a Trainer."""

from types import SimpleNamespace

import numpy as np
import torch

from datamodules.batch import Step
from datamodules.picture_data import PictureDataModule
from tests.datamodules.painted import shown

SETTINGS = {
    "name": "tiny",
    "data_dir": "nowhere",
    "noise": None,
    "noise_model": None,
    "imbalance": 1,
    "probe_per_class": 1,
    "image_size": 16,
    "pictures": "whole",
    "augment": "none",
    "flip": False,
    "batch_size": 6,
    "eval_batch_size": 4,
    "seed": 3,
}


def first_step(data: PictureDataModule) -> Step:
    """Read the data and return what the first step of a method that wants everything sees."""
    data.trainer = SimpleNamespace(
        global_step=0,
        global_rank=0,
        world_size=1,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lightning_module=SimpleNamespace(uses_probe=True, uses_strong_view=True),
    )
    data.setup()
    step = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    side = data.image_size
    for views in (step.train.weak, step.train.strong, step.probe.weak):
        assert views.shape == (data.batch_size, 3, side, side)
        assert views.isfinite().all()
        assert views.abs().max() <= 1
    return step


def rows_of(data: PictureDataModule) -> dict[str, tuple[int, int, bool]]:
    """Return path → given label, true label, whether it is trusted, of the training list."""
    listed = data.training_list
    columns = (listed.given.tolist(), listed.true.tolist(), listed.trusted.tolist())
    return dict(zip(listed.files.paths, zip(*columns, strict=True), strict=True))


def seen(examples: object) -> list[int]:
    """Return the classes that the pictures of a set show, as their colours say."""
    return shown(examples.all_examples.image.numpy())


def check_labels(data: PictureDataModule) -> None:
    """Check that labels are with their pictures: probe and tests show what they are labelled."""
    data.setup()
    assert seen(data.probe_set) == data.probe_set.all_examples.label.tolist()
    for tested in data.test_sets.values():
        assert len(tested)
        assert seen(tested) == tested.all_examples.label.tolist()
    assert data.unreadable.seen == {}
    assert not set(data.manifest.train_rows) & set(data.manifest.probe_rows)
    assert np.array_equal(data.train_set.label, data.training_list.given[data.manifest.train_rows])
