from pathlib import Path

import numpy as np
import pytest

from datamodules.label_files import read_label_file
from datamodules.manifest import Manifest
from datamodules.split import Candidates

NAMES = ("ape", "bee", "7")
LABEL = np.array([0, 2, 1, 1])


def test_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", LABEL.astype(np.uint8))
    np.savez(tmp_path / "b.npz", worse=LABEL, other=LABEL[::-1])
    for given in ("a.npy", "b.npz:worse"):
        found = read_label_file(str(tmp_path / given), 4, NAMES)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, LABEL)


@pytest.mark.parametrize(
    "text",
    [
        "label\nape\n7\nbee\nbee\n",
        "\ufefflabel\n0\n7\n1\nbee\n",
        "index,label\n3,bee\n2,bee\n0,ape\n1,7\n",
        "label,note\nape,x\n 7 ,\nbee,\nbee,\n",
    ],
)
def test_tables(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_label_file(str(tmp_path / "a.csv"), 4, NAMES), LABEL)


def drawn(rows: int) -> Manifest:
    settings = {"dataset": "toy", "seed": 1, "noise_model": "x", "probe_per_class": 1}
    true = np.arange(rows) % 3
    return Manifest.draw(
        Candidates(true), lambda some: true[some], settings=settings, class_names=NAMES
    )


def test_the_labels_of_a_run(tmp_path: Path) -> None:
    made = drawn(9)
    made.save(tmp_path)
    found = read_label_file(str(tmp_path / "labels.npz"), 9, NAMES)
    assert isinstance(found, Manifest)
    assert found.hash == made.hash
    for size, names in ((8, NAMES), (9, NAMES[:2]), (9, ("ape", "bee", "cow"))):
        with pytest.raises(ValueError, match="was drawn for toy, with 3 classes and rows up to 8"):
            read_label_file(str(tmp_path / "labels.npz"), size, names)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "name\nape\n", "cannot be used"),
        ("a.csv", "label\nape\n7\nbee\n", "1 examples have no label, the first is 3"),
        ("a.csv", "label\nape\n7\nbee\nbee\nbee\n", "example 4, none or there already"),
        ("a.csv", "index,label\n0,ape\n0,ape\n2,7\n3,7\n", "example 0, none or there already"),
        ("a.csv", "label\nape\n7\nbee\nBee\n", "row 4 has the label 'Bee', which is no class"),
        ("a.txt", "ape\n", r"it is a \.txt file"),
        ("a.npy", "no array", "cannot be used"),
        ("a.npz", "no arrays", "holds no drawn labels"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_label_file(str(tmp_path / name), 4, NAMES)


@pytest.mark.parametrize(
    "array", [LABEL[:0], LABEL[:3], LABEL + 1, LABEL - 1, LABEL[None], LABEL * 1.0]
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=r"labels=.*a\.npy (holds|cannot be used)"):
        read_label_file(str(tmp_path / "a.npy"), 4, NAMES)


@pytest.mark.filterwarnings("ignore:Data type alias")  # of one such change, by numpy
@pytest.mark.parametrize("name", ["labels.npz", "b.npz", "c.npy"])
def test_a_byte_that_changed_is_told(tmp_path: Path, name: str) -> None:
    drawn(60).save(tmp_path)
    np.savez_compressed(tmp_path / "b.npz", worse=LABEL)
    np.save(tmp_path / "c.npy", LABEL)
    path, size = tmp_path / name, 60 if name == "labels.npz" else 4
    given = f"{path}:worse" if name == "b.npz" else str(path)
    whole, refused = path.read_bytes(), []
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0b1000
        path.write_bytes(changed)
        try:
            read_label_file(given, size, NAMES)
        except ValueError as error:  # and nothing else
            refused.append(str(error))
    assert len(refused) > len(whole) / 2
    assert all(str(path) in one for one in refused)


def test_a_missing_file_and_a_missing_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", worse=LABEL)
    for given in ("no.npy", "b.npz:better"):
        with pytest.raises(ValueError, match=r"give the labels.npz of a run"):
            read_label_file(str(tmp_path / given), 4, NAMES)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be used"):
        read_label_file(str(tmp_path / "a.npy"), 4, NAMES)
