import itertools

import numpy as np
import pytest

from datamodules.noise import CIFAR10_FLIPS, transition_counts
from datamodules.released_draws import released_draws
from tests.datamodules.test_clean import digits, read
from tests.golden import load

# model, rate, share of the images held out as the probe, seed of NumPy's global generator
RECORDED = [
    *itertools.product(["uniform10"], ["0.2", "0.4", "0.8", "0.95"], ["0.02", "0.002"], [0, 1]),
    *[("uniform10", "0.4", "0", 0), ("uniform10", "0", "0.02", 0)],
    *itertools.product(["uniform100"], ["0.4", "0.8"], ["0.02", "0.002"], [0]),
    *itertools.product(["asym10"], ["0.2", "0.4"], ["0.02", "0.002"], [0, 1]),
    ("asym10", "0.4", "0", 0),
]


@pytest.fixture(scope="module")
def golden():
    return load("case_H_label_noise")


@pytest.mark.parametrize(("model", "rate", "hold", "seed"), RECORDED)
def test_labels_are_given_as_often_as_recorded(golden, model, rate, hold, seed):
    """How often class i was given class j: 100 or 10,000 counts, all of them the recorded ones."""
    num_classes = 100 if model == "uniform100" else 10
    label = np.arange(50_000) % num_classes
    drawn = released_draws(
        label,
        "asymmetric" if model == "asym10" else "uniform",
        float(rate),
        probe_per_class=round(50_000 * float(hold)) // num_classes,
        flips=CIFAR10_FLIPS,
        seed=seed,
        flip_seed=12345,  # the recorder left the flag alone
    )
    key = f"{model}/ratio{rate}/hold{hold}/npseed{seed}"
    counts = transition_counts(label[drawn.train_rows], drawn.given, num_classes)
    np.testing.assert_array_equal(counts, golden[f"{key}/confusion_counts"])
    rows = np.concatenate([drawn.train_rows, drawn.probe_rows])
    np.testing.assert_array_equal(np.sort(rows), np.arange(50_000))
    if len(drawn.probe_rows):
        order = golden[f"{key}/probe_label_order"]
        np.testing.assert_array_equal(label[drawn.probe_rows][: len(order)], order)


def test_flips_are_the_recorded_ones_one_by_one(golden):
    clean = golden["asym10_exact/clean_labels"].astype(np.int64)
    rng = np.random.RandomState(7)
    order = np.arange(400)
    rng.shuffle(order)
    # labels that lie as recorded once the 400 rows are shuffled
    label = np.empty(400, dtype=np.int64)
    label[order] = clean
    drawn = released_draws(
        label, "asymmetric", 0.4, probe_per_class=0, flips=CIFAR10_FLIPS, seed=7, flip_seed=12345
    )
    given = np.empty(400, dtype=np.int64)
    given[drawn.train_rows] = drawn.given
    np.testing.assert_array_equal(given[order], golden["asym10_exact/noisy_labels"])


@pytest.mark.parametrize("model", ["uniform", "asymmetric"])
def test_a_data_set_draws_as_released_where_asked(model):
    data = read(draws="released", noise_model=model, probe_per_class=2)
    assert len(data.train_set) == data.num_train == 1297 - 20
    assert len(data.probe_set) == data.num_probe == 20
    ours = read(noise_model=model, probe_per_class=2)
    assert data.manifest.hash != ours.manifest.hash
    assert data.manifest.settings["draws"] == "released"
    assert set(data.manifest.probe_rows) != set(ours.manifest.probe_rows)
    true = data.source().train_label
    np.testing.assert_array_equal(data.manifest.clean, true[data.manifest.train_rows])
    np.testing.assert_array_equal(data.manifest.probe_label, true[data.manifest.probe_rows])


@pytest.mark.parametrize("changes", [{"noise_model": "instance"}, {"imbalance": 2}])
def test_what_was_not_released_is_refused(changes):
    with pytest.raises(ValueError, match=r"dataset\.draws=released knows no noise_model="):
        digits(draws="released", **changes)
    with pytest.raises(ValueError, match=r"dataset\.draws=theirs is not known"):
        digits(draws="theirs")
