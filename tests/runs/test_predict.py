"""New pictures get the classes that evaluation gives them, without the data of the training."""

import csv
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from callbacks.checkpoint_file import load
from runs.build import build_data
from runs.check import check_settings
from runs.network import network_from_checkpoint, open_network
from runs.predict import predict
from runs.settings import Settings
from runs.training import train
from tests.compose import settings

QUICK = ("logger=csv", "trainer=cpu", "method=supervised", "schedule=cosine")


def trained(*words: str) -> dict[str, Any]:
    made = settings(*QUICK, *words)
    check_settings(made)
    return train(made)


def predicted(run: Path, pictures: Path, *words: str) -> dict[str, Any]:
    words = ("mode=predict", f"checkpoint={run}", f"pictures={pictures}", *words)
    made: Settings = settings(*words)
    check_settings(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *words])
        return predict(made)


def rows(path: str | Path) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(path).open(encoding="utf-8")))


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, float]:
    """Return a run, its test pictures as files `<class>/<number>.png`, and its accuracy on them."""
    place = tmp_path_factory.mktemp("digits")
    results = trained("max_steps=40", f"run_dir={place / 'run'}")
    data = build_data(settings())
    data.setup("test")
    every = data.test_sets["test"].all_examples
    for number, (image, label) in enumerate(zip(every.image, every.clean_label, strict=True)):
        file = place / "new" / str(int(label)) / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    return place / "run", place / "new", results["test/acc_last"]


def test_pictures_in_files_get_the_classes_of_evaluation(
    digits: tuple[Path, Path, float], capsys: pytest.CaptureFixture[str]
) -> None:
    run, new, accuracy = digits
    results = predicted(run, new)
    assert results["predictions"] == str(run / "predictions-new.csv")
    table = rows(results["predictions"])
    assert results["pictures"] == len(table) == 500
    right = sum(row["label"] == row["path"].split("/")[0] for row in table)
    assert right / 500 == pytest.approx(accuracy, abs=1e-6)  # a float32
    assert 0.3 < accuracy < 1
    # as evaluation sees them, in its own order
    network = open_network(run)
    assert network.class_names == tuple("0123456789")
    image = network.read([new / row["path"] for row in table[:9]])
    confidence, label = network.probability(image).max(dim=1)
    assert [row["label"] for row in table[:9]] == [str(one) for one in label.tolist()]
    told = [float(row["confidence"]) for row in table[:9]]
    assert told == pytest.approx(confidence.tolist(), abs=1e-4)  # the table has four digits
    said = capsys.readouterr().out
    most, count = Counter(row["label"] for row in table).most_common(1)[0]
    assert f"500 pictures: {most}: {count}, " in said


def test_what_is_no_picture_is_left_out_and_what_cannot_be_read_is_told(
    digits: tuple[Path, Path, float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, new, _ = digits
    (tmp_path / "böse").mkdir()
    shutil.copy(new / "3" / next((new / "3").iterdir()).name, tmp_path / "böse" / "a 1.PNG")
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._a.jpg").write_bytes(b"what a Mac leaves")
    results = predicted(run, tmp_path, "trainer=ddp", "trainer.devices=4", f"run_dir={tmp_path}")
    assert (results["pictures"], results["unreadable"]) == (2, 1)
    one, broken = sorted(rows(results["predictions"]), key=lambda row: not row["label"])
    assert one["path"] == "böse/a 1.PNG"
    assert broken == {"path": "broken.jpg", "label": "", "confidence": ""}
    said = capsys.readouterr().out
    assert "1 picture: " in said
    assert f"cannot be read: {tmp_path / 'broken.jpg'} (cannot identify" in said
    assert f"Written to {tmp_path / 'predictions-'}" in said


def test_one_picture_may_be_given(digits: tuple[Path, Path, float], tmp_path: Path) -> None:
    run, new, _ = digits
    file = next((new / "7").iterdir())
    results = predicted(run, file, f"run_dir={tmp_path / 'there' / 'not yet'}")
    assert results["predictions"].endswith(f"not yet/predictions-{file.stem}.csv")
    assert [row["path"] for row in rows(results["predictions"])] == [file.name]


@pytest.mark.parametrize("pictures", ["whole", "windows"])
def test_pictures_of_ones_own_are_seen_as_the_test_pictures_were(
    pictures: str, tmp_path: Path
) -> None:
    """Of several sizes and shapes, so that another window, or another size, is another answer."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 30)):
        for label, shade in (("dark", 60), ("light", 160), ("mixed", 110)):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                shape = (*rng.integers(20, 50, 2), 3)
                values = (rng.normal(shade, 60, shape)).clip(0, 255).astype(np.uint8)
                values[:, : shape[1] // 4] = 255  # what only the whole picture shows
                Image.fromarray(values).save(folder / f"{number}.png")
    run = tmp_path / "run"
    results = trained(
        "dataset=folder", "model=resnet11", f"data_dir={tmp_path / 'photos'}", "probe_per_class=0",
        f"dataset.pictures={pictures}", "dataset.image_size=16", "dataset.num_workers=0",
        "batch_size=10", "max_steps=12", f"run_dir={run}",
    )  # fmt: skip
    (tmp_path / "photos" / "test").rename(tmp_path / "later")
    shutil.rmtree(tmp_path / "photos")
    table = rows(predicted(run, tmp_path / "later")["predictions"])
    right = sum(row["label"] == row["path"].split("/")[0] for row in table)
    assert right / len(table) == pytest.approx(results["test/acc_last"], abs=1e-6)  # a float32
    assert len({row["label"] for row in table}) > 1


def test_weights_it_began_with_are_not_needed(tmp_path: Path) -> None:
    from models.torchvision_net import TorchvisionNet

    net = TorchvisionNet(num_classes=10, name="mobilenet_v3_small")
    torch.save(net.net.state_dict(), tmp_path / "early.pth")
    trained(
        "model=torchvision", "model.net.name=mobilenet_v3_small", "dataset=digits_asym",
        f"model.net.weights={tmp_path / 'early.pth'}", "max_steps=1", "batch_size=4",
        f"run_dir={tmp_path / 'run'}",
    )  # fmt: skip
    (tmp_path / "early.pth").unlink()
    assert open_network(tmp_path / "run").side == 8


def test_what_cannot_be_predicted_is_told(digits: tuple[Path, Path, float], tmp_path: Path) -> None:
    run, new, _ = digits
    with pytest.raises(ValueError, match="pictures=None is not a folder of pictures"):
        check_settings(settings("mode=predict", f"checkpoint={run}"))
    with pytest.raises(ValueError, match=r"pictures=/nowhere is not there: give a folder"):
        predicted(run, Path("/nowhere"))
    with pytest.raises(ValueError, match="holds no pictures"):
        predicted(run, tmp_path)
    with pytest.raises(ValueError, match=r"was made with model=resnet11, not model=resnet29"):
        predicted(run, new, "model=resnet29")
    with pytest.raises(ValueError, match="There is no checkpoint at"):
        open_network(tmp_path)
    saved = load(run / "checkpoints" / "last.ckpt")
    saved["experiment"]["image_size"] = [8, 9]
    with pytest.raises(ValueError, match="sees pictures of 8x9, and squares are needed"):
        network_from_checkpoint(saved, Path("x.ckpt"))
    del saved["experiment"]["class_names"]
    with pytest.raises(ValueError, match=r"x\.ckpt was saved by an earlier version"):
        network_from_checkpoint(saved, Path("x.ckpt"))
    with pytest.raises(OSError, match=r"nothing\.png"):
        open_network(run).read([tmp_path / "nothing.png"])
