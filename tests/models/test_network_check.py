import random

import pytest
import torch
from torch import nn

from models.network_check import check_network
from models.resnet_cifar import ResNetCifar
from models.torchvision_net import TorchvisionNet

SMALL = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)


class Draws(nn.Module):
    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits + random.random()


def test_a_network_that_fits_stays_as_it_was() -> None:
    net = nn.Sequential(ResNetCifar(num_classes=10, depth=11), nn.Dropout(0.5), Draws()).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    torch.manual_seed(3)
    random.seed(3)
    expected = torch.rand(3), random.random()
    torch.manual_seed(3)
    random.seed(3)
    check_network(net, SMALL, 10, "cpu")
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]
    assert not net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_network_that_draws_cannot_be_recorded() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    check_network(net, SMALL, 10, "cuda", recorded=True)
    net.append(nn.Dropout(0.5))
    check_network(net, SMALL, 10, "cuda")
    with pytest.raises(ValueError, match=r"speed\.cuda_graph=true is for networks that draw no"):
        check_network(net, SMALL, 10, "cuda", recorded=True)


def test_pictures_it_cannot_take_are_told() -> None:
    with pytest.raises(ValueError, match=r"trained on pictures of 8x8 \(Wrong image h.*image_size"):
        check_network(TorchvisionNet(num_classes=3, name="vit_b_32"), SMALL, 3, "cpu")


@pytest.mark.parametrize(
    ("net", "made"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 13)), r"\(2, 13\)"),
        (nn.LSTM(8, 4), "cannot be trained"),
        (TorchvisionNet(num_classes=10, name="googlenet"), "GoogLeNetOutputs"),
    ],
)
def test_an_answer_that_is_no_logits_is_told(net: nn.Module, made: str) -> None:
    pictures = torch.zeros(1, 3, 96, 96) if "Torchvision" in str(net) else SMALL
    with pytest.raises(ValueError, match=made):
        check_network(net, pictures, 10, "cpu")


def test_what_fails_on_the_cpu_may_be_made_for_a_gpu_but_its_answer_counts() -> None:
    check_network(nn.LSTM(8, 4), SMALL, 10, "cuda")
    with pytest.raises(ValueError, match=r"\(2, 13\)"):
        check_network(nn.Sequential(nn.Flatten(), nn.Linear(192, 13)), SMALL, 10, "cuda")
