"""What `noise_model`, `imbalance` and `labels` do to a clean data set: the digits."""

from pathlib import Path

import numpy as np
import pytest

from datamodules.digits import Digits
from datamodules.instance_noise import instance_dependent, pixel_features
from datamodules.noise import corrupt_rows
from datamodules.noise_models import NOISE_MODELS
from datamodules.randomness import numpy_generator

SETTINGS = {
    "name": "digits",
    "data_dir": "nowhere",
    "noise_model": "uniform",
    "noise": 0.4,
    "probe_per_class": 10,
    "batch_size": 20,
    "eval_batch_size": 100,
    "augment": "none",
    "pad": 1,
    "flip": False,
    "seed": 3,
}


def digits(**changes) -> Digits:
    return Digits(**{**SETTINGS, **changes})


def read(**changes) -> Digits:
    data = digits(**changes)
    data.setup()
    return data


DRAWN = [model for model in NOISE_MODELS if model != "matrix"]

# Of all labels; the rate is 0.4. Asymmetric noise hits five of ten classes, uniform noise leaves a
# tenth of what it redraws; the normal around 0.4 is hardly cut.
RATE = {"uniform": 0.36, "asymmetric": 0.2}


@pytest.mark.parametrize("model", DRAWN)
def test_the_rate_is_what_the_model_says(model: str) -> None:
    drawn = read(noise_model=model).manifest
    expected = RATE.get(model, 0.4)
    spread = np.sqrt(expected * (1 - expected) / len(drawn.given))
    assert abs(drawn.effective_noise - expected) < 5 * spread
    assert read(noise_model=model).manifest.hash == drawn.hash
    assert read(noise_model=model, seed=4).manifest.hash != drawn.hash
    assert (drawn.clean == read(noise=0.1).manifest.clean).all()  # the same probe


def test_pairs_flip_to_the_next_class_and_others_never_stay() -> None:
    drawn = read(noise_model="pair_flip").manifest
    wrong = drawn.given != drawn.clean
    assert ((drawn.clean[wrong] + 1) % 10 == drawn.given[wrong]).all()
    # of symmetric noise without the own class, more are wrong than where it may be redrawn
    assert np.isclose(
        np.diag(digits(noise_model="uniform_other")._label_noise.transition_matrix()), 0.6
    ).all()
    assert np.isclose(
        np.diag(digits(noise_model="uniform")._label_noise.transition_matrix()), 0.64
    ).all()


def test_instance_noise_is_drawn_from_the_images_of_the_very_examples() -> None:
    data = read(noise_model="instance")
    batch = data.train_set.all_examples
    rows = instance_dependent(
        pixel_features(batch.image.numpy()),
        batch.clean_label.numpy(),
        10,
        0.4,
        numpy_generator(3, "instance noise"),
    )
    np.testing.assert_array_equal(corrupt_rows(rows, numpy_generator(3, "noise")), batch.label)


def test_a_matrix_from_a_file(tmp_path: Path) -> None:
    matrix = np.eye(10)
    matrix[3] = np.eye(10)[[8, 9]].mean(0)
    np.savetxt(tmp_path / "t.csv", matrix, delimiter=",")
    data = read(noise_model="matrix", noise=None, noise_matrix=str(tmp_path / "t.csv"))
    drawn = data.manifest
    np.testing.assert_allclose(data._label_noise.transition_matrix(), matrix)
    assert set(drawn.given[drawn.clean == 3]) == {8, 9}
    assert (drawn.given == drawn.clean)[drawn.clean != 3].all()


def test_long_tails_are_thinned_by_true_class() -> None:
    data = read(imbalance=10)
    count = np.bincount(data.manifest.clean, minlength=10)
    assert (count[0], count[9]) == (118, 12)  # of 118 and 120; 122 · 10^(-1), cut off
    assert (np.diff(count[1:]) < 0).all()
    assert len(data.train_set) == data.num_train == count.sum()
    assert data.steps_per_epoch == count.sum() // 20
    assert set(data.manifest.train_rows) < set(read().manifest.train_rows)
    np.testing.assert_array_equal(data.manifest.probe_rows, read().manifest.probe_rows)


def test_a_part_of_each_class() -> None:
    data = read(train_per_class=30)
    assert np.bincount(data.manifest.clean).tolist() == [30] * 10
    assert data.num_train == len(data.train_set) == 300
    assert set(data.manifest.train_rows) < set(read().manifest.train_rows)
    np.testing.assert_array_equal(data.manifest.probe_rows, read().manifest.probe_rows)
    assert data.manifest.hash != read().manifest.hash
    tail = np.bincount(read(train_per_class=30, imbalance=10).manifest.clean)
    assert (tail[0], tail[9]) == (30, 3)
    # a class keeps what it has
    most = read(train_per_class=10_000)
    np.testing.assert_array_equal(most.manifest.given, read().manifest.given)


def test_the_labels_of_a_run_are_trained_on_again(tmp_path: Path) -> None:
    made = read(seed=5, imbalance=4)
    made.manifest.save(tmp_path)
    labels = str(tmp_path / "labels.npz")
    again = read(labels=labels, noise=None, seed=3)
    assert again.manifest.hash == made.manifest.hash
    assert (again.num_train, again.num_probe) == (made.num_train, made.num_probe)
    assert not again.notes
    (note,) = read(labels=labels, noise=None, probe_per_class=5).notes
    assert note.endswith("brings its own probe_per_class=10: probe_per_class=5 is not used")
    np.testing.assert_array_equal(again.train_set.label, made.train_set.label)
    # the seed still decides the order
    first, second = (next(iter(data.train_dataloader())).train.index for data in (made, again))
    assert not (first == second).all()


def test_a_label_for_every_row(tmp_path: Path) -> None:
    given = np.arange(1297) % 10
    np.save(tmp_path / "l.npy", given)
    data = read(labels=str(tmp_path / "l.npy"), noise=None)
    np.testing.assert_array_equal(data.manifest.given, given[data.manifest.train_rows])
    assert data.manifest.settings["noise_model"] == "given"
    np.testing.assert_array_equal(data.manifest.clean, read().manifest.clean)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_model": "magic"}, "noise_model=magic is unknown to digits: give one of uniform,"),
        ({"noise_model": "given"}, "noise_model=given needs labels=<file>"),
        ({"noise_model": None}, "noise_model=None is unknown"),
        ({"noise": None}, "noise=None is not a rate"),
        ({"noise_model": "matrix"}, "dataset.noise_matrix=None: give a file"),
        ({"noise_matrix": "t.csv"}, r"noise_model=uniform with dataset.noise_matrix=t\.csv"),
        ({"noise_model": "matrix", "noise_matrix": "t.csv"}, "noise=0.4 would not be used"),
        ({"labels": "l.npy"}, r"labels=l\.npy brings its own noise, so noise=0\.4"),
        ({"labels": "l.npy", "noise": None}, r"labels=l\.npy is not there"),
        ({"probe_per_class": None}, "probe_per_class=null takes all that are trusted"),
        ({"imbalance": 0.5}, r"imbalance=0\.5"),
        ({"imbalance": 10_000}, "imbalance=10000"),
        ({"train_per_class": 0}, "dataset.train_per_class=0"),
        ({"train_per_class": 1.5}, r"dataset.train_per_class=1\.5"),
        ({"train_per_class": 9, "labels": "l.npy", "noise": None}, "train_per_class=9 would not"),
        ({"train_per_class": 9, "draws": "released"}, "and train_per_class=9: give one of"),
    ],
)
def test_what_cannot_be_is_refused_before_reading(changes, message) -> None:
    with pytest.raises(ValueError, match=message):
        digits(**changes)
