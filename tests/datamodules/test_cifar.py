import pickle
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.datasets import cifar as torchvision_cifar

from datamodules.cifar import CIFAR10, CIFAR100, CIFAR100_SUPERCLASS
from datamodules.noise import CIFAR10_FLIPS

UNPACK = Path(__file__).parents[2].parent / "shared" / "data" / "unpack_cifar.py"
OWN_TIMEOUT = 77.0
BOTH = pytest.mark.parametrize(
    ("kind", "folder", "archive"),
    [
        (CIFAR10, "cifar-10-batches-py", "cifar-10-python.tar.gz"),
        (CIFAR100, "cifar-100-python", "cifar-100-python.tar.gz"),
    ],
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    if not UNPACK.exists():
        pytest.skip("the packed CIFAR files are not beside this repository")
    folder = tmp_path_factory.mktemp("cifar")
    subprocess.run([sys.executable, UNPACK, folder], check=True, capture_output=True)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Let every download fail, loudly, and note how patient it would have been."""
    patience = []

    def fail(*_args, **_kwargs):
        patience.append(socket.getdefaulttimeout())
        raise URLError("no route to host")

    monkeypatch.setattr(torchvision_cifar, "download_and_extract_archive", fail)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(OWN_TIMEOUT)
    yield patience
    socket.setdefaulttimeout(before)


def cifar(kind, folder, **changes):
    settings = {
        "name": "cifar",
        "data_dir": folder,
        "noise_model": "asymmetric",
        "noise": 0.4,
        "probe_per_class": 10,
        "batch_size": 100,
        "eval_batch_size": 500,
        "augment": "none",
        "pad": 2,
        "flip": True,
        "seed": 12345,
    }
    return kind(**{**settings, **changes})


def pickled(path: Path) -> dict:
    return pickle.loads(path.read_bytes(), encoding="bytes")


@BOTH
def test_facts_are_true_and_nothing_is_downloaded(unpacked, no_network, kind, folder, archive):
    data = cifar(kind, unpacked)
    data.prepare_data()
    source = data.source()
    assert not no_network
    count = np.bincount(source.train_label)
    assert len(count) == len(kind.class_names)
    assert count.sum() == sum(kind.class_sizes) == len(source.train_image)
    assert tuple(count) == kind.class_sizes
    np.testing.assert_array_equal(
        np.bincount(source.test_label), [10_000 // len(count)] * len(count)
    )


def test_images_and_labels_are_the_files(unpacked):
    source = cifar(CIFAR10, unpacked).source()
    folder = unpacked / "cifar-10-batches-py"
    batches = [pickled(folder / f"data_batch_{number}") for number in range(1, 6)]
    pixels = np.concatenate([batch[b"data"] for batch in batches])
    assert source.train_image.dtype == torch.uint8
    assert np.array_equal(source.train_image.reshape(50_000, -1).numpy(), pixels)
    np.testing.assert_array_equal(
        source.train_label, np.concatenate([batch[b"labels"] for batch in batches])
    )
    test = pickled(folder / "test_batch")
    assert np.array_equal(source.test_image.reshape(10_000, -1).numpy(), test[b"data"])
    np.testing.assert_array_equal(source.test_label, test[b"labels"])
    names = CIFAR10.class_names
    assert {names[true]: names[given] for true, given in CIFAR10_FLIPS.items()} == {
        "truck": "automobile",
        "bird": "airplane",
        "cat": "dog",
        "dog": "cat",
        "deer": "horse",
    }


def test_superclasses_are_the_files(unpacked):
    train = pickled(unpacked / "cifar-100-python" / "train")
    superclass = np.array(CIFAR100_SUPERCLASS)
    names = pickled(unpacked / "cifar-100-python" / "meta")[b"fine_label_names"]
    assert tuple(name.decode() for name in names) == CIFAR100.class_names
    np.testing.assert_array_equal(superclass[train[b"fine_labels"]], train[b"coarse_labels"])


def test_cifar100_flips_stay_in_the_superclass():
    transition = cifar(CIFAR100, "nowhere", noise=0.25)._label_noise.transition_matrix()
    for true, row in enumerate(transition):
        (other,) = np.flatnonzero(row * (np.arange(100) != true))
        np.testing.assert_allclose(row[[true, other]], [0.75, 0.25])
        assert CIFAR100_SUPERCLASS[true] == CIFAR100_SUPERCLASS[other]
    # every class is the target of one: superclasses are cycles of five
    np.testing.assert_allclose(transition.sum(0), 1)


def test_default_run_in_numbers(unpacked):
    data = cifar(CIFAR10, unpacked)
    data.setup()
    summary = data.manifest.summary()
    assert (summary["num_train"], summary["num_probe"]) == (49_900, 100)
    assert (data.num_train, data.num_probe, data.steps_per_epoch) == (49_900, 100, 499)
    # half the examples can be wrong, each with probability 0.4
    assert abs(summary["effective_noise"] - 0.2) < 5 * np.sqrt(0.4 * 0.6 / 2 / 49_900)
    assert [int(label) for label in data.probe_set.all_examples.label[:20]] == [*range(10)] * 2


@BOTH
def test_missing_files_are_explained(tmp_path, no_network, kind, folder, archive):
    for call in (lambda data: data.prepare_data(), lambda data: data.source()):
        with pytest.raises(ValueError, match=f"No intact {kind.__name__}") as caught:
            call(cifar(kind, tmp_path / "absent"))
        message = str(caught.value)
        for part in (str(tmp_path / "absent"), folder, archive, "data_dir", "dataset=digits_asym"):
            assert part in message
        assert "\n" not in message
        assert caught.value.__suppress_context__
        assert caught.value.__cause__ is None
    (patience,) = no_network
    assert 0 < patience <= 30, "a dead connection must not hang"
    assert socket.getdefaulttimeout() == OWN_TIMEOUT, "the setting is everybody's"


def test_relative_data_dir_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"data_dir={tmp_path / 'data'}:"):
        cifar(CIFAR10, "./data").source()


def test_damaged_file_is_refused(unpacked, tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("test", "meta"):
        (folder / name).symlink_to(unpacked / "cifar-100-python" / name)
    (folder / "train").write_bytes(b"not the training data")
    with pytest.raises(ValueError, match="No intact CIFAR100"):
        cifar(CIFAR100, tmp_path).source()
