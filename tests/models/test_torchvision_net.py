import re
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import models
from torchvision.models import _api

from models.torchvision_net import TorchvisionNet


def test_images_are_normalised_as_the_weights_expect(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = models.resnet18(num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = TorchvisionNet(
        num_classes=7, name="resnet18", weights=str(tmp_path / "weights.pth")
    ).eval()
    image = torch.rand(2, 3, 64, 64)
    preprocess = models.ResNet18_Weights.DEFAULT.transforms()
    mean, std = (torch.tensor(one).view(1, 3, 1, 1) for one in (preprocess.mean, preprocess.std))
    torch.testing.assert_close(ours(image * 2 - 1), theirs((image - mean) / std))


def test_a_last_layer_of_other_classes_is_drawn_anew(tmp_path: Path) -> None:
    theirs = models.resnet18(num_classes=1000)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = TorchvisionNet(num_classes=5, name="resnet18", weights=str(tmp_path / "weights.pth"))
    assert torch.equal(ours.net.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)
    assert ours.net.fc.weight.shape == (5, 512)


def test_weights_may_lack_the_counters_of_batches(tmp_path: Path) -> None:
    theirs = models.resnet18(num_classes=7)
    early = {key: one for key, one in theirs.state_dict().items() if "tracked" not in key}
    torch.save(early, tmp_path / "weights.pth")
    ours = TorchvisionNet(num_classes=7, name="resnet18", weights=str(tmp_path / "weights.pth"))
    assert torch.equal(ours.net.bn1.weight, theirs.bn1.weight)


def test_weights_that_are_fetched_are_named_as_torchvision_names_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = models.densenet121()
    early = {  # as the file has them
        re.sub(r"(denselayer\d+\.(norm|relu|conv))", r"\1.", key): one
        for key, one in theirs.state_dict().items()
        if "tracked" not in key
    }
    assert early.keys().isdisjoint(["features.denseblock1.denselayer1.norm1.weight"])
    monkeypatch.setattr(_api, "load_state_dict_from_url", lambda *_, **__: early)
    ours = TorchvisionNet(num_classes=5, name="densenet121", weights="DEFAULT")
    last = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(ours.net.state_dict()[last], theirs.state_dict()[last])

    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(_api, "load_state_dict_from_url", offline)
    with pytest.raises(ValueError, match=r"DEFAULT cannot be fetched .*no network"):
        TorchvisionNet(num_classes=5, name="densenet121", weights="DEFAULT")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet17"}, "model.net.name=resnet17 is not a network .* resnet18"),
        ({"name": "fcn_resnet50"}, "model.net.name=fcn_resnet50 is not"),
        ({"name": "resnet18", "weights": "/nowhere.pth"}, r"weights=/nowhere\.pth cannot be read"),
    ],
)
def test_what_is_not_there_is_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchvisionNet(num_classes=5, **settings)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(models.resnet34(num_classes=5).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="are not those of resnet18"):
        TorchvisionNet(num_classes=5, name="resnet18", weights=str(tmp_path / "weights.pth"))
    torch.save(models.resnet18(num_classes=5).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="are not those of resnet34"):
        TorchvisionNet(num_classes=5, name="resnet34", weights=str(tmp_path / "weights.pth"))


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    torch.save({"fc.weight": Hostile()}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match="cannot be read"):
        TorchvisionNet(num_classes=5, name="resnet18", weights=str(tmp_path / "weights.pth"))
    assert not (tmp_path / "executed").exists()
