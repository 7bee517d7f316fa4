from itertools import islice

import numpy as np
import pytest
import torch

from datamodules.images import ArrayImages
from datamodules.labelled_images import LabelledImages
from datamodules.randomness import numpy_generator
from datamodules.samplers import (
    EndlessOrder,
    ExampleStream,
    StepSampler,
    TrainingSteps,
    shard_batches,
)


def order(size: int, batch_size: int, **changes) -> EndlessOrder:
    settings = {"seed": 5, "purpose": "test", "shuffle": True, **changes}
    return EndlessOrder(size, batch_size, **settings)


def joined(an_order: EndlessOrder, steps: int) -> np.ndarray:
    return np.concatenate([an_order.rows(step) for step in range(steps)])


# sizes that divide, that straddle, smaller than a batch, far smaller than a batch
@pytest.mark.parametrize(("size", "batch_size"), [(12, 4), (10, 4), (3, 4), (1, 7), (2, 7)])
def test_batches_are_cut_from_a_concatenation_of_epochs(size, batch_size):
    steps = 3 * size
    epochs = steps * batch_size // size
    stream = np.concatenate(
        [numpy_generator(5, "test", epoch).permutation(size) for epoch in range(epochs)]
    )
    np.testing.assert_array_equal(joined(order(size, batch_size), steps), stream)


def test_every_epoch_is_another_permutation():
    epochs = joined(order(50, 20), 10).reshape(4, 50)
    np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(50), (4, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_order_depends_on_seed_and_purpose():
    first = order(50, 50).rows(0)
    assert np.any(first != order(50, 50, seed=6).rows(0))
    assert np.any(first != order(50, 50, purpose="other").rows(0))


def test_any_step_can_be_asked_first():
    used = order(10, 4)
    joined(used, 20)
    for step in (19, 7, 0, 12):
        np.testing.assert_array_equal(used.rows(step), order(10, 4).rows(step))


def test_permutations_are_drawn_once_and_forgotten(monkeypatch):
    drawn = []
    original = EndlessOrder._permutation
    monkeypatch.setattr(
        EndlessOrder,
        "_permutation",
        lambda self, epoch: drawn.append(epoch) or original(self, epoch),
    )
    used = order(10, 4)
    joined(used, 25)
    assert drawn == list(range(10))
    assert len(used._permutations) == 1


def test_fixed_order_cycles_and_repeats_inside_a_batch():
    probe = order(3, 7, shuffle=False)
    np.testing.assert_array_equal(probe.rows(0), [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(probe.rows(1), [1, 2, 0, 1, 2, 0, 1])


@pytest.mark.parametrize("shuffle", [True, False])
def test_ranks_take_contiguous_slices_of_the_global_batch(shuffle):
    whole = order(10, 12, shuffle=shuffle)
    parts = [order(10, 12, shuffle=shuffle, rank=rank, world_size=3) for rank in range(3)]
    for step in range(8):
        slices = [part.rows(step) for part in parts]
        assert [len(rows) for rows in slices] == [4, 4, 4]
        np.testing.assert_array_equal(np.concatenate(slices), whole.rows(step))


def test_indivisible_batch_is_refused():
    with pytest.raises(ValueError, match=r"batch_size=10 .* give a multiple of 4"):
        order(100, 10, world_size=4)


def test_step_sampler_begins_where_it_is_told_at_that_moment():
    now = 3
    sampler = StepSampler(lambda: now)
    assert list(islice(sampler, 3)) == [3, 4, 5]
    now = 8
    assert list(islice(sampler, 2)) == [8, 9]
    with pytest.raises(TypeError):
        len(sampler)


def images(size: int) -> LabelledImages:
    pixel = torch.arange(size + 100).to(torch.uint8)
    index = np.arange(100, 100 + size)
    list_of_all = ArrayImages(pixel.view(-1, 1, 1, 1).expand(-1, 3, 2, 2))
    return LabelledImages(list_of_all, index % 2, index % 3, index)


def test_rows_are_taken_in_order_with_all_their_parts():
    taken = images(9)[np.array([8, 0, 8])]
    assert taken.image[:, 0, 0, 0].tolist() == [108, 100, 108]
    assert taken.image.dtype == torch.uint8
    assert taken.label.tolist() == [0, 0, 0]
    assert taken.clean_label.tolist() == [0, 1, 0]
    assert taken.index.tolist() == [108, 100, 108]
    assert len(images(9)) == 9


def test_item_of_training_steps_is_the_steps_data():
    train = ExampleStream(images(9), order(9, 4))
    probe = ExampleStream(images(3), order(3, 4, shuffle=False))
    drawn = TrainingSteps(train, probe)[5]
    np.testing.assert_array_equal(drawn.train.index - 100, order(9, 4).rows(5))
    assert drawn.probe.index.tolist() == [102, 100, 101, 102]
    assert TrainingSteps(train, None)[5].probe is None


@pytest.mark.parametrize("size", [5, 7, 100, 101])
@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [2, 3, 25, 1000])
def test_shards_cover_the_test_set_once(size, world_size, batch_size):
    shards = [shard_batches(size, batch_size, rank, world_size) for rank in range(world_size)]
    assert len({len(batches) for batches in shards}) == 1
    rows = np.concatenate([batch for batches in shards for batch in batches])
    np.testing.assert_array_equal(np.sort(rows), np.arange(size))
    sizes = [len(batch) for batches in shards for batch in batches]
    assert min(sizes) >= 1
    assert max(sizes) <= batch_size
    assert len(shards[0]) <= -(-size // world_size // batch_size) + 1


def test_shards_by_hand():
    assert [batch.tolist() for batch in shard_batches(5, 2, 0, 1)] == [[0, 1], [2, 3], [4]]
    assert [batch.tolist() for batch in shard_batches(3, 1, 0, 2)] == [[0, 1]]
    assert [batch.tolist() for batch in shard_batches(3, 1, 1, 2)] == [[2]]
    assert [batch.tolist() for batch in shard_batches(1, 4, 1, 2)] == [[]]
