import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from datamodules.digits import Digits


def digits(**changes) -> Digits:
    settings = {
        "name": "digits_asym",
        "data_dir": "nowhere",
        "noise_model": "asymmetric",
        "noise": 0.4,
        "probe_per_class": 10,
        "batch_size": 100,
        "eval_batch_size": 500,
        "augment": "none",
        "pad": 1,
        "flip": False,
        "seed": 12345,
    }
    data = Digits(**{**settings, **changes})
    data.setup()
    return data


@pytest.fixture(scope="module")
def source():
    data = Digits.__new__(Digits)
    return data.source()


def test_facts_are_true(source):
    count = np.bincount(source.train_label)
    assert len(count) == len(Digits.class_names)
    assert count.sum() == sum(Digits.class_sizes) == len(source.train_image) == 1297
    assert tuple(count) == Digits.class_sizes
    assert len(source.test_image) == len(source.test_label) == 500


def test_split_parts_the_data_and_is_stratified(source):
    whole = load_digits()
    image = torch.cat([source.train_image, source.test_image])
    assert image.shape == (1797, 3, 8, 8)
    assert image.dtype == torch.uint8
    grey = image[:, 0].flatten(1).numpy()
    # 0..16 to 0..255 and back; every image with its label, in any order
    ours = np.column_stack(
        [np.rint(grey / 255 * 16), np.concatenate([source.train_label, source.test_label])]
    )
    theirs = np.column_stack([whole.data, whole.target])
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    share = np.bincount(source.test_label) / np.bincount(whole.target)
    np.testing.assert_allclose(share, 500 / 1797, atol=1 / 174)
    assert torch.equal(image[:, 0], image[:, 1])
    assert torch.equal(image[:, 0], image[:, 2])
    assert (int(image.min()), int(image.max())) == (0, 255)


def test_split_does_not_depend_on_the_seed():
    one, two = digits(seed=1), digits(seed=2)
    assert torch.equal(
        one.test_sets["test"].all_examples.image, two.test_sets["test"].all_examples.image
    )
    assert one.manifest.hash != two.manifest.hash


def test_default_run_in_numbers():
    data = digits()
    summary = data.manifest.summary()
    assert (summary["num_train"], summary["num_probe"]) == (1197, 100)
    assert (data.num_train, data.steps_per_epoch) == (1197, 11)
    assert summary["probe_counts"] == [10] * 10
    counts = np.array(summary["transition_counts"])
    allowed = np.eye(10, dtype=bool)
    for source, target in {2: 7, 3: 8, 5: 6, 6: 5, 7: 1}.items():
        allowed[source, target] = True
        # 120 draws at 0.4 have a standard deviation of 0.045
        assert abs(counts[source, target] / counts[source].sum() - 0.4) < 5 * 0.045
    assert not counts[~allowed].any()
    assert abs(summary["effective_noise"] - 0.2) < 5 * np.sqrt(0.4 * 0.6 / 2 / 1197)


def test_largest_probe():
    assert digits(probe_per_class=125).num_train == 47
    with pytest.raises(ValueError, match=r"probe_per_class=126 .* 0 to 125\."):
        digits(probe_per_class=126)
