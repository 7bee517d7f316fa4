import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import ModelCheckpoint

from datamodules.augment import STRONG_VIEWS, Augment, normalise
from datamodules.batch import Batch, Step, Views
from datamodules.clean import CleanDataModule, Source
from datamodules.randomness import numpy_generator, torch_generator

SETTINGS = {
    "name": "toy",
    "data_dir": "nowhere",
    "noise_model": "asymmetric",
    "noise": 0.5,
    "probe_per_class": 2,
    "batch_size": 8,
    "eval_batch_size": 4,
    "augment": "none",
    "pad": 1,
    "flip": True,
    "seed": 3,
}


class Toy(CleanDataModule):
    """30 training images whose first pixel is their row, 10 test images."""

    class_names = ("a", "b", "c")
    class_sizes = (10, 10, 10)
    flips = {0: 1}  # noqa: RUF012
    reads = 0

    def source(self) -> Source:
        self.reads += 1
        noise = torch.Generator().manual_seed(0)
        image = torch.randint(0, 256, (40, 3, 4, 4), generator=noise).to(torch.uint8)
        image[:, 0, 0, 0] = torch.arange(40)
        label = np.arange(40) % 3
        return Source(image[:30], label[:30], image[30:], label[30:])


def toy(**changes) -> Toy:
    return Toy(**{**SETTINGS, **changes})


def beside(trainer_step: int = 0, rank: int = 0, world_size: int = 1, **module) -> SimpleNamespace:
    """Stand in for what a data module asks of a trainer."""
    return SimpleNamespace(
        global_step=trainer_step,
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lightning_module=SimpleNamespace(
            **{"uses_probe": True, "uses_strong_view": True, **module}
        ),
    )


def ready(trainer=None, **changes) -> Toy:
    data = toy(**changes)
    data.trainer = trainer
    data.setup("fit")
    return data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": 1.0}, r"noise=1\.0 is not a rate"),
        ({"probe_per_class": 10}, r"probe_per_class=10 .* 0 to 9\."),
        ({"probe_per_class": -1}, r"probe_per_class=-1 .* 0 to 9\."),
        ({"noise_model": "flips"}, r"noise_model=flips .* uniform, uniform_other, asymmetric"),
        ({"eval_batch_size": 0}, r"dataset\.eval_batch_size=0 must be a whole number, 1 or more"),
        ({"eval_batch_size": "all"}, r"dataset\.eval_batch_size=all"),
        ({"num_workers": "two"}, r"dataset\.num_workers=two must be a whole number, 0 or more"),
        ({"augment": "strange"}, "augment=strange"),
    ],
)
def test_impossible_settings_are_refused_at_once(changes, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        toy(**changes)


def test_sizes_are_known_before_reading():
    data = toy()
    assert (data.num_train, data.num_probe, data.steps_per_epoch) == (24, 6, 3)
    assert data.reads == 0
    assert toy(batch_size=9).steps_per_epoch == 2
    assert toy(batch_size=100).steps_per_epoch == 1
    assert toy(probe_per_class=0).num_train == 30


def test_setup_draws_once():
    data = ready()
    first = data.manifest
    data.setup("test")
    assert data.reads == 1
    assert data.manifest is first
    assert len(data.train_set) == data.num_train == len(first.given)
    assert len(data.probe_set) == data.num_probe


def test_transition_is_the_chosen_noise():
    np.testing.assert_allclose(
        toy()._label_noise.transition_matrix(), [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    )
    np.testing.assert_allclose(
        toy(noise_model="uniform", noise=0.3)._label_noise.transition_matrix(),
        np.full((3, 3), 0.1) + 0.7 * np.eye(3),
    )


def test_sets_hold_what_the_manifest_says():
    data = ready()
    train, probe, test = (
        part.all_examples for part in (data.train_set, data.probe_set, data.test_sets["test"])
    )
    truth = np.arange(40) % 3
    for part, offset in ((train, 0), (probe, 0), (test, 30)):
        # the first pixel tells which image it really is
        np.testing.assert_array_equal(part.image[:, 0, 0, 0], part.index + offset)
        np.testing.assert_array_equal(part.clean_label, truth[part.index + offset])
    np.testing.assert_array_equal(train.index, data.manifest.train_rows)
    np.testing.assert_array_equal(train.label, data.manifest.given)
    np.testing.assert_array_equal(probe.index, data.manifest.probe_rows)
    np.testing.assert_array_equal(probe.label, probe.clean_label)
    np.testing.assert_array_equal(test.label, test.clean_label)
    assert not set(train.index.tolist()) & set(probe.index.tolist())
    assert (train.label != train.clean_label).any()
    settings = {"dataset": "toy", "seed": 3, "noise_model": "asymmetric", "nominal_noise": 0.5}
    assert settings.items() <= data.manifest.settings.items()


def test_seed_and_settings_decide_the_draws():
    assert ready().manifest.hash == ready().manifest.hash
    assert ready(batch_size=4, augment="autoaugment").manifest.hash == ready().manifest.hash
    other = ready(seed=4).manifest
    other = dataclasses.replace(other, settings={**other.settings, "seed": 3})
    assert other.hash != ready().manifest.hash


def steps_of(data: Toy, count: int) -> list:
    batches = iter(data.train_dataloader())
    return [next(batches) for _ in range(count)]


def expected_rows(data: Toy, first: int, last: int) -> np.ndarray:
    epochs = [numpy_generator(3, "train order", epoch).permutation(24) for epoch in range(9)]
    return data.train_set.all_examples.index.numpy()[np.concatenate(epochs)[first:last]]


def test_training_begins_at_the_trainers_step():
    data = ready(beside(5), batch_size=7)
    for offset, drawn in enumerate(steps_of(data, 4)):
        first = 7 * (5 + offset)
        np.testing.assert_array_equal(drawn.train.index, expected_rows(data, first, first + 7))
        cycle = data.probe_set.all_examples.index[torch.arange(first, first + 7) % 6]
        assert torch.equal(drawn.probe.index, cycle)


def test_training_loads_without_a_trainer():
    data = ready()
    np.testing.assert_array_equal(steps_of(data, 1)[0].train.index, expected_rows(data, 0, 8))
    assert sum(len(batch.label) for batch in data.test_dataloader()[0]) == 10


def test_worker_processes_load_the_same():
    alone = steps_of(ready(beside(2)), 5)
    helped = steps_of(ready(beside(2), num_workers=2), 5)
    for one, other in zip(alone, helped, strict=True):
        for part, same in zip([*one.train, *one.probe], [*other.train, *other.probe], strict=True):
            assert torch.equal(part, same)


def test_ranks_share_the_global_batch():
    whole = steps_of(ready(beside(1)), 3)
    parts = [steps_of(ready(beside(1, rank, 2)), 3) for rank in range(2)]
    for step, drawn in enumerate(whole):
        for name in ("train", "probe"):
            slices = [getattr(part[step], name).index for part in parts]
            assert torch.equal(torch.cat(slices), getattr(drawn, name).index)


def test_ranks_must_divide_the_batch():
    with pytest.raises(ValueError, match=r"batch_size=8 .* multiple of 3"):
        ready(beside(0, 0, 3)).train_dataloader()


@pytest.mark.parametrize(
    "data",
    [ready(beside(uses_probe=False)), ready(beside(), probe_per_class=0)],
    ids=["method wants none", "there is none"],
)
def test_no_probe(data):
    drawn = steps_of(data, 1)[0]
    assert drawn.probe is None
    assert data.on_after_batch_transfer(drawn, 0).probe is None


def test_batch_may_exceed_the_training_set():
    drawn = steps_of(ready(beside(), batch_size=50), 1)[0]
    assert np.unique(drawn.train.index, return_counts=True)[1].tolist().count(2) >= 22


@pytest.mark.parametrize("loader", ["val_dataloader", "test_dataloader"])
def test_evaluation_sees_the_test_set_once(loader):
    shards = [list(getattr(ready(beside(0, rank, 2)), loader)()[0]) for rank in range(2)]
    assert [len(shard) for shard in shards] == [2, 2]
    rows = torch.cat([batch.index for shard in shards for batch in shard])
    assert torch.equal(rows, torch.arange(10))
    batch = shards[1][0]
    data = ready(beside(0, 1, 2))
    views = data.on_after_batch_transfer(batch, 0)
    assert isinstance(views, Views)
    assert torch.equal(views.weak, normalise(batch.image))
    assert views.strong is None
    assert torch.equal(views.label, batch.clean_label)


def test_views_are_drawn_by_seed_and_step():
    data = ready(beside(5))
    drawn = steps_of(data, 1)[0]
    step = data.on_after_batch_transfer(drawn, 0)
    assert isinstance(step, Step)

    views, draws = Augment(pad=1, flip=True, strong="none"), torch_generator(3, "train views", 5)
    weak = views.weak(drawn.train.image, draws)
    assert torch.equal(step.train.weak, weak)
    assert torch.equal(step.train.strong, views.strong(weak, draws))
    assert torch.equal(step.train.label, drawn.train.label)
    draws = torch_generator(3, "probe views", 5)
    assert torch.equal(step.probe.weak, views.weak(drawn.probe.image, draws))
    assert step.probe.strong is None
    assert torch.equal(step.probe.label, drawn.probe.label)
    assert step.batch is drawn.train

    data.trainer = beside(6)
    assert not torch.equal(data.on_after_batch_transfer(drawn, 0).train.weak, weak)
    data.trainer = beside(5, uses_strong_view=False)
    plain = data.on_after_batch_transfer(drawn, 0)
    assert plain.train.strong is None
    assert torch.equal(plain.train.weak, weak)


@pytest.mark.parametrize("augment", STRONG_VIEWS)
@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_together_see_what_one_process_sees(augment, world_size):
    def seen(rank: int, world_size: int) -> Step:
        data = ready(beside(5, rank, world_size), augment=augment)
        return data.on_after_batch_transfer(steps_of(data, 1)[0], 0)

    whole, parts = seen(0, 1), [seen(rank, world_size) for rank in range(world_size)]
    for views in (
        lambda step: step.train.weak,
        lambda step: step.train.strong,
        lambda step: step.train.label,
        lambda step: step.probe.weak,
        lambda step: step.batch.index,
    ):
        assert torch.equal(torch.cat([views(part) for part in parts]), views(whole))


class Recorder(LightningModule):
    """Learns nothing, steps its optimiser, and writes down what it was given."""

    uses_probe = True
    uses_strong_view = True

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[Step] = []
        self.evaluated = 0

    def training_step(self, step: Step, batch_idx: int) -> None:
        self.seen.append(step)
        self.manual_backward(self.weight * step.train.weak.mean())
        self.optimizers().step()

    def validation_step(self, views: Views, batch_idx: int) -> None:
        self.evaluated += len(views.label)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder, steps: int, **resume) -> Recorder:
    module = Recorder()
    keep = ModelCheckpoint(folder, save_last=True, every_n_train_steps=1)
    trainer = Trainer(
        max_steps=steps,
        val_check_interval=steps,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        callbacks=[keep],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, toy(), weights_only=True, **resume)
    return module


@pytest.mark.filterwarnings("ignore")
def test_continued_fit_sees_the_data_of_an_uninterrupted_one(tmp_path):
    whole = fit(tmp_path / "whole", 7)
    first = fit(tmp_path / "parts", 4)
    second = fit(tmp_path / "parts", 7, ckpt_path=tmp_path / "parts" / "last.ckpt")
    assert (len(first.seen), len(second.seen)) == (4, 3)
    assert whole.evaluated == second.evaluated == 10
    for one, other in zip(whole.seen, first.seen + second.seen, strict=True):
        assert torch.equal(one.train.weak, other.train.weak)
        assert torch.equal(one.train.strong, other.train.strong)
        assert torch.equal(one.probe.weak, other.probe.weak)
        assert torch.equal(one.batch.index, other.batch.index)
    assert isinstance(whole.seen[0].batch, Batch)
