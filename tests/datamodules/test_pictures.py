import csv
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.image_windows import centre_window, random_window, resized_crop
from datamodules.images import BatchPosition
from datamodules.pictures import PictureFiles, open_picture
from datamodules.randomness import torch_generator
from datamodules.unreadable import FILE, Unreadable, read_unreadable


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> PictureFiles:
    names = ["a.png", "été/b c.png", "d.png"]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(noise(30, 40, number)).save(tmp_path / name)
    return PictureFiles(tmp_path, names, side=16, seed=7, flip=True, unreadable=Unreadable())


def test_evaluation_sees_the_centre(files: PictureFiles) -> None:
    seen = files.for_evaluation(torch.tensor([1, 1, 0]))
    picture = Image.fromarray(noise(30, 40, 1))
    assert torch.equal(seen[0], resized_crop(picture, centre_window(30, 40), 16))
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])
    # the share of a rank for which no picture is left
    assert files.for_evaluation(torch.tensor([], dtype=torch.int64)).shape == (0, 3, 16, 16)


def test_training_sees_windows_that_seed_step_and_place_decide(files: PictureFiles) -> None:
    position = BatchPosition("train", step=5, offset=8, windows=2)
    seen = files.for_training(torch.tensor([2, 0]), position)
    assert seen.shape == (2, 2, 3, 16, 16)
    for offset, row in enumerate((2, 0)):
        draws = torch_generator(7, "train windows", 5, 8 + offset)
        picture = Image.fromarray(noise(30, 40, row))
        for window in range(2):
            expected = resized_crop(picture, random_window(draws, 30, 40), 16)
            assert torch.equal(seen[offset, window], expected)
    # the weak view does not depend on whether a strong one is wanted
    assert torch.equal(
        files.for_training(torch.tensor([2, 0]), position._replace(windows=1)), seen[:, :1]
    )
    # on another rank, the same example at its place in the global batch
    assert torch.equal(files.for_training(torch.tensor([0]), position._replace(offset=9)), seen[1:])
    for other in (position._replace(step=6), position._replace(purpose="probe")):
        assert not torch.equal(files.for_training(torch.tensor([2, 0]), other), seen)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK", "1", "RGBA", "I;16"])
def test_pictures_of_any_mode(tmp_path: Path, mode: str) -> None:
    grey = noise(20, 20)[..., 0]
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(grey).convert(mode)
    name = "x.tif" if mode == "CMYK" else "x.png"
    picture.save(tmp_path / name)
    seen = open_picture(tmp_path / name).convert("RGB")
    if mode == "1":
        assert set(np.unique(seen)) == {0, 255}
    else:
        assert np.abs(np.asarray(seen)[..., 0].astype(int) - grey).max() <= 1


def test_pictures_stand_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(noise(20, 30))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    picture.save(tmp_path / "x.png", exif=exif)
    turned = np.asarray(open_picture(tmp_path / "x.png"))
    np.testing.assert_array_equal(turned, np.rot90(noise(20, 30), -1))


def damage(path: Path, kind: str) -> None:
    if kind == "missing":
        return
    Image.fromarray(noise(64, 64)).save(path, "JPEG")
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[kind])


@pytest.mark.parametrize("kind", ["missing", "cut", "empty", "text"])
def test_damaged_pictures_are_an_os_error(tmp_path: Path, kind: str) -> None:
    damage(tmp_path / "x.jpg", kind)
    with pytest.raises(OSError, match=r".+"):
        open_picture(tmp_path / "x.jpg")


def test_a_damaged_picture_is_grey_and_written_down_once(tmp_path: Path) -> None:
    Image.fromarray(noise(30, 40)).save(tmp_path / "good.png")
    damage(tmp_path / "cut.jpg", "cut")
    damage(tmp_path / "text, with\nlines.jpg", "text")
    unreadable = Unreadable()
    names = ["good.png", "cut.jpg", "text, with\nlines.jpg"]
    files = PictureFiles(tmp_path, names, side=8, seed=7, flip=True, unreadable=unreadable)
    seen = files.for_training(torch.tensor([0, 1]), BatchPosition("train", 0, 0, 2))
    assert (seen[1] == 128).all()
    assert not (seen[0] == 128).all()
    unreadable.write_to(tmp_path)
    for _ in range(2):
        files.for_evaluation(torch.tensor([1, 2]))
    found = read_unreadable(tmp_path)
    assert {Path(path).name for path in found} == {"cut.jpg", "text, with\nlines.jpg"}
    assert all(found.values())
    with (tmp_path / FILE).open(newline="") as file:
        assert len(list(csv.reader(file))) == 3


def _note(unreadable: Unreadable, worker: int) -> None:
    for number in range(200):
        unreadable.note(Path(f"{worker}/{number}.jpg"), OSError("x" * 50))


def test_processes_do_not_cut_into_each_others_lines(tmp_path: Path) -> None:
    unreadable = Unreadable()
    unreadable.write_to(tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_note, args=(unreadable, one)) for one in range(2)]
    for worker in workers:
        worker.start()
    _note(unreadable, 2)
    for worker in workers:
        worker.join()
    assert len(read_unreadable(tmp_path)) == 600


def test_several_processes_write_a_picture_down_once(tmp_path: Path) -> None:
    unreadable = Unreadable()
    unreadable.write_to(tmp_path)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_note, args=(unreadable, 0)) for _ in range(2)]
    for worker in workers:
        worker.start()
    _note(unreadable, 0)
    for worker in workers:
        worker.join()
    # nor does a run that goes on, and reads them again
    again = Unreadable()
    _note(again, 0)
    again.write_to(tmp_path)
    _note(again, 1)
    rows = (tmp_path / FILE).read_text().splitlines()
    assert len(rows) == len(set(rows)) == 401
    assert again.noted() == read_unreadable(tmp_path)
    assert len(unreadable.noted()) == 400


def test_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.png")
    Image.fromarray(noise(30, 40)).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / name)
    files = PictureFiles(tmp_path, [name], side=8, seed=7, flip=True, unreadable=Unreadable())
    assert files.path(0) == tmp_path / name
    assert not (files.for_evaluation(torch.tensor([0])) == 128).all()
    files.unreadable.write_to(tmp_path)
    files.unreadable.note(tmp_path / name, OSError("no"))
    assert read_unreadable(tmp_path) == {str(tmp_path / name): "no"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 127, 255]), ([0.0, 25700.0, 65535.0], [0, 100, 255])],
)
def test_floats_are_shares_of_white_or_16_bits(
    tmp_path: Path, values: list[float], expected: list[int]
) -> None:
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "f.tif")
    assert np.asarray(open_picture(tmp_path / "f.tif")).ravel().tolist() == expected
