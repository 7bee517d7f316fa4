from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.cifar_n import CIFAR10N, CIFAR100N, read_label_arrays

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SETTINGS = {
    "noise_model": "given",
    "noise": None,
    "probe_per_class": 10,
    "batch_size": 100,
    "eval_batch_size": 500,
    "augment": "none",
    "pad": 2,
    "flip": True,
    "seed": 3,
}


def cifar_n(data_dir: Path, annotation: str = "worse", kind=CIFAR10N, **changes) -> CIFAR10N:
    return kind(name="n", data_dir=data_dir, annotation=annotation, **{**SETTINGS, **changes})


def official(folder: Path, true: np.ndarray) -> Path:
    """Write a file as the authors' is: a pickled dictionary of NumPy arrays."""
    arrays = {"clean_label": true}
    names = ("aggre_label", "worse_label", "random_label1", "random_label2", "random_label3")
    for number, name in enumerate(names):
        arrays[name] = (true + (np.arange(len(true)) % 20 == number)) % 10
    path = folder / "CIFAR-10_human.pt"
    torch.save(arrays, path)
    return path


def test_the_authors_file_is_read(tmp_path: Path) -> None:
    true = np.arange(50_000) % 10
    arrays = read_label_arrays(official(tmp_path, true))
    assert set(arrays) >= {"clean_label", "worse_label", "random_label3"}
    np.testing.assert_array_equal(arrays["clean_label"], true)


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"clean_label": Hostile()}, tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(ValueError, match=r"CIFAR-10_human\.pt cannot be read as arrays"):
        read_label_arrays(tmp_path / "CIFAR-10_human.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    for name in ("CIFAR-10_human.pt", "cifar10n.npz"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            read_label_arrays(tmp_path / name)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no human labels at .*CIFAR-10_human\.pt: get it from"):
        cifar_n(tmp_path).prepare_data()
    with pytest.raises(ValueError, match="annotation=best is not known: choose one of aggre,"):
        cifar_n(tmp_path, "best")
    with pytest.raises(ValueError, match=r"noise=0.4 would not be used"):
        cifar_n(tmp_path, noise=0.4)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the real images, and put the real human labels beside them."""
    if not (SHARED / "cifar" / "cifar10n.npz").exists():
        pytest.skip("the real CIFAR-N (shared/data beside the repository) is not here")
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("cifar_n")
    subprocess.run(
        [sys.executable, SHARED / "unpack_cifar.py", folder], check=True, capture_output=True
    )
    for name in ("cifar10n.npz", "cifar100n.npz"):
        (folder / name).write_bytes((SHARED / "cifar" / name).read_bytes())
    return folder


# the published shares of wrong labels (Wei et al. 2022, Table 1)
PUBLISHED = {
    "aggre": 0.0903,
    "random1": 0.1723,
    "random2": 0.1812,
    "random3": 0.1764,
    "worse": 0.4021,
}


@pytest.mark.slow
@pytest.mark.parametrize("annotation", [*PUBLISHED, "fine"])
def test_the_real_labels_are_as_wrong_as_published(real: Path, annotation: str) -> None:
    kind = CIFAR100N if annotation == "fine" else CIFAR10N
    data = cifar_n(real, annotation, kind)
    data.setup()
    expected = {**PUBLISHED, "fine": 0.4020}[annotation]
    assert abs(data.manifest.effective_noise - expected) < 0.004  # the probe is left out
    assert len(data.manifest.given) == data.num_train == 50_000 - data.num_probe


@pytest.mark.slow
def test_labels_of_images_in_another_order_are_refused(real: Path, tmp_path: Path) -> None:
    with np.load(real / "cifar10n.npz") as file:
        moved = {name: np.roll(array, 1) for name, array in file.items()}
    np.savez(tmp_path / "moved.npz", **moved)
    with pytest.raises(ValueError, match=r"are not those of the images .* another order"):
        cifar_n(real, human_labels=str(tmp_path / "moved.npz")).setup()
    np.savez(tmp_path / "other.npz", clean=moved["clean"])
    with pytest.raises(ValueError, match="holds clean, and not worse_label"):
        cifar_n(real, human_labels=str(tmp_path / "other.npz")).setup()
