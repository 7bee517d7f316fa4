"""Pictures that are missing, broken, or there twice, planted by hand and counted."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from datamodules.images import ArrayImages
from datamodules.labelled_images import LabelledImages
from datamodules.pictures import PictureFiles
from datamodules.unreadable import Unreadable
from inspection import picture_scan
from inspection.picture_scan import MISSING, UNREADABLE, scan_file, scan_splits


def pixels(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **how)
    return path


def labelled(folder: Path, names: list[str], label: list[int] | None = None) -> LabelledImages:
    files = PictureFiles(folder, names, side=8, seed=0, flip=False, unreadable=Unreadable())
    rows = np.arange(len(names))
    given = rows * 0 if label is None else np.array(label)
    return LabelledImages(files, given, given, rows)


def test_equal_pixels_are_one_picture_in_any_lossless_file(tmp_path: Path) -> None:
    array = pixels(0)
    first = scan_file(save(tmp_path / "a.png", array)).digest
    assert len(first) == 16
    for name, how in (("b.png", {"compress_level": 0}), ("c.bmp", {}), ("d.tiff", {})):
        assert scan_file(save(tmp_path / name, array, **how)).digest == first
    rgba = np.dstack([array, np.full(array.shape[:2], 255, dtype=np.uint8)])
    assert scan_file(save(tmp_path / "e.png", rgba)).digest == first


def test_one_other_pixel_or_shape_is_another_picture(tmp_path: Path) -> None:
    array = pixels(0)
    first = scan_file(save(tmp_path / "a.png", array)).digest
    other = array.copy()
    other[3, 4, 1] ^= 1
    assert scan_file(save(tmp_path / "b.png", other)).digest != first
    assert scan_file(save(tmp_path / "c.png", array.reshape(8, 32, 3))).digest != first


def test_remarks_in_a_file_do_not_matter_and_its_turn_does(tmp_path: Path) -> None:
    array = pixels(1)
    plain = scan_file(save(tmp_path / "a.jpg", array, quality=90)).digest
    remark = save(tmp_path / "b.jpg", array, quality=90, comment=b"mine")
    assert remark.read_bytes() != (tmp_path / "a.jpg").read_bytes()
    assert scan_file(remark).digest == plain
    turned = Image.Exif()
    turned[0x0112] = 6
    # the pixels lie as before, but are shown turned
    assert scan_file(save(tmp_path / "c.jpg", array, quality=90, exif=turned)).digest != plain


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_that_is_cut_short_is_unreadable(tmp_path: Path, kind: str) -> None:
    whole = io.BytesIO()
    Image.fromarray(pixels(2, 64)).save(whole, kind)
    path = tmp_path / "cut"
    path.write_bytes(whole.getvalue())
    assert scan_file(path).problem == ""
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) * 2 // 3])
    Image.open(path)  # its head is whole
    seen = scan_file(path)
    assert (seen.problem, seen.digest) == (UNREADABLE, b"")
    assert "truncated" in seen.detail


def test_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    kinds = {path.name: scan_file(path).problem for path in tmp_path.iterdir()}
    assert kinds == {
        "empty.jpg": UNREADABLE,
        "text.jpg": UNREADABLE,
        "folder.jpg": UNREADABLE,
        "broken.jpg": MISSING,
    }
    assert scan_file(tmp_path / "none.jpg").problem == MISSING
    assert scan_file(tmp_path / "text.jpg" / "below.jpg").problem == MISSING


@pytest.mark.parametrize("processes", [False, True])
def test_every_picture_of_every_split_is_looked_at_in_order(
    tmp_path: Path, processes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if processes:
        monkeypatch.setattr(picture_scan, "FEW_FILES", 0)
        monkeypatch.setattr(picture_scan, "available_cores", lambda: 2)
    names = [f"{number}.png" for number in range(70)]
    for number, name in enumerate(names):
        if number != 66:
            save(tmp_path / name, pixels(number, 4))
    (tmp_path / "5.png").write_bytes(b"no")
    test = labelled(tmp_path, ["7.png", "8.png"])
    found = scan_splits({"noisy": labelled(tmp_path, names), "test": test}, Console(quiet=True))
    noisy = found["noisy"]
    assert {place: seen.problem for place, seen in noisy.problems.items()} == {
        5: UNREADABLE,
        66: MISSING,
    }
    assert [noisy.name_of(place) for place in noisy.problems] == ["5.png", "66.png"]
    assert len(noisy.digests) == 70
    assert len(set(noisy.digests)) == 69  # two are empty
    assert found["test"].digests == noisy.digests[7:9]


def test_images_in_memory_are_compared_by_their_pixels() -> None:
    image = torch.randint(0, 256, (6, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    image = image.to(torch.uint8)
    image[4] = image[1]
    image[5] = image[2]
    image[5, 0, 0, 0] ^= 1
    images = ArrayImages(image)
    rows = np.array([4, 0, 5, 1])
    split = LabelledImages(images, rows, rows, rows)
    none = LabelledImages(images, rows[:0], rows[:0], rows[:0])
    found = scan_splits({"noisy": split, "probe": none}, Console(quiet=True))
    one, two, three, four = found["noisy"].digests
    assert one == four
    assert len({one, two, three}) == 3
    assert found["noisy"].name_of(2) == "row 5"
    assert found["probe"].digests == []


def test_black_images_of_other_sizes_are_other_images() -> None:
    wide, tall = torch.zeros(1, 3, 2, 8, dtype=torch.uint8), torch.zeros(1, 3, 4, 4)
    digests = [
        picture_scan.scan_images(ArrayImages(one.to(torch.uint8)), np.array([0]))[0].digest
        for one in (wide, tall)
    ]
    assert digests[0] != digests[1]
