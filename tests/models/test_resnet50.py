"""ResNet-50 version 2: its table of convolutions, its shortcuts, and its derivatives.

The reference's network was not recorded, so the oracle is the architecture's own table.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from models.resnet50 import Bottleneck, ResNet50V2
from models.resnet_cifar import TRUNCATED_STD
from tests.models.derivatives import check_derivatives

CONF = Path(__file__).parents[2] / "conf" / "model" / "resnet50.yaml"

# At 224x224. Times in a row | in-out kernel/stride/padding side of the output, ...
TABLE = """
1 | 3-64 7/2/3 112
1 | 64-256 1/1/0 56, 64-64 1/1/0 56, 64-64 3/1/1 56, 64-256 1/1/0 56
2 | 256-64 1/1/0 56, 64-64 3/1/1 56, 64-256 1/1/0 56
1 | 256-512 1/2/0 28, 256-128 1/1/0 56, 128-128 3/2/1 28, 128-512 1/1/0 28
3 | 512-128 1/1/0 28, 128-128 3/1/1 28, 128-512 1/1/0 28
1 | 512-1024 1/2/0 14, 512-256 1/1/0 28, 256-256 3/2/1 14, 256-1024 1/1/0 14
5 | 1024-256 1/1/0 14, 256-256 3/1/1 14, 256-1024 1/1/0 14
1 | 1024-2048 1/2/0 7, 1024-512 1/1/0 14, 512-512 3/2/1 7, 512-2048 1/1/0 7
2 | 2048-512 1/1/0 7, 512-512 3/1/1 7, 512-2048 1/1/0 7
"""


@pytest.fixture(scope="module")
def net() -> ResNet50V2:
    torch.manual_seed(0)
    return ResNet50V2(num_classes=50)


@pytest.mark.parametrize(("num_classes", "count"), [(50, 23_602_802), (1000, 25_549_352)])
def test_parameter_count(num_classes: int, count: int) -> None:
    conf = OmegaConf.load(CONF)
    assert (conf.name, conf.weight_decay, conf.decayed) == ("resnet50", 4e-4, "all")
    with torch.device("meta"):
        net = instantiate(conf.net, num_classes=num_classes)
    assert sum(p.numel() for p in net.parameters()) == count


def test_convolutions_and_norms_are_the_tables() -> None:
    found = []

    def record(conv: nn.Conv2d, _inputs: tuple[Tensor], output: Tensor) -> None:
        assert conv.bias is None
        geometry = f"{conv.kernel_size[0]}/{conv.stride[0]}/{conv.padding[0]}"
        found.append(f"{conv.in_channels}-{conv.out_channels} {geometry} {output.shape[-1]}")

    with torch.device("meta"):
        net = ResNet50V2(num_classes=50)
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        for conv in convs:
            conv.register_forward_hook(record)
        logits = net(torch.zeros(2, 3, 224, 224))
    assert logits.shape == (2, 50)
    expected = []
    for line in TABLE.strip().splitlines():
        times, rows = line.split(" | ")
        expected += int(times) * rows.split(", ")
    assert found == expected
    assert len(found) == 53

    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 49
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.003)}


def test_a_projecting_shortcut_starts_after_the_activation() -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 4, stride=2, projection=True)
    nn.init.zeros_(block.conv3.weight)
    assert block.shortcut is not None
    images = torch.randn(2, 8, 6, 6)
    centred = images - images.mean((0, 2, 3), keepdim=True)
    normed = centred / (centred.square().mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    sampled = normed.clamp(min=0)[:, :, ::2, ::2]
    expected = torch.einsum("oi,bihw->bohw", block.shortcut.weight[:, :, 0, 0], sampled)
    torch.testing.assert_close(block(images), expected, rtol=1e-4, atol=1e-5)


def test_an_identity_shortcut_is_the_raw_input() -> None:
    torch.manual_seed(0)
    block = Bottleneck(8, 2, stride=1, projection=False)
    nn.init.zeros_(block.conv3.weight)
    images = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(images), images)


@pytest.mark.parametrize("side", [16, 18, 22, 20])
def test_max_pooling_is_tensorflows_same(net: ResNet50V2, side: int) -> None:
    """Window k reads rows 2k - start to 2k - start + 2, start 0 on an even side and 1 on an odd."""
    seen: dict[str, Tensor] = {}
    handles = [
        net.stem.register_forward_hook(lambda _m, _i, out: seen.update(stem=out)),
        net.blocks.register_forward_hook(lambda _m, args, _o: seen.update(pooled=args[0])),
    ]
    with torch.no_grad():
        net.eval()(torch.randn(1, 3, side, 2 * side))
    for handle in handles:
        handle.remove()
    rows = seen["stem"].double().numpy()
    for axis in (2, 3):
        length = rows.shape[axis]
        starts = [2 * k - length % 2 for k in range((length + 1) // 2)]
        windows = [
            rows.take(range(max(s, 0), min(s + 3, length)), axis).max(axis, keepdims=True)
            for s in starts
        ]
        rows = np.concatenate(windows, axis)
    np.testing.assert_array_equal(seen["pooled"].double().numpy(), rows)


def test_fresh_weights_have_the_initialisers_moments(net: ResNet50V2) -> None:
    """A sample's deviation errs by σ√((κ-1)/(4n)); κ is 2.366 for a normal cut at two sigma."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            w = module.weight.detach().double()
            sigma = w[0].numel() ** -0.5
            assert abs(w.mean()) < 4 * sigma / w.numel() ** 0.5
            assert abs(w.std() - sigma) < 4 * sigma * (1.366 / 4 / w.numel()) ** 0.5
            assert 0.95 < w.abs().max() / (2 * sigma / TRUNCATED_STD) < 1 + 1e-6
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    bound = (6 / (2048 + 50)) ** 0.5
    assert 0.99 < net.dense.weight.abs().max() / bound < 1 + 1e-6
    assert (net.dense.bias == 0).all()


@pytest.mark.slow
def test_derivatives() -> None:
    torch.manual_seed(0)
    net = ResNet50V2(num_classes=3)
    check_derivatives(net, torch.rand(4, 3, 32, 32, dtype=torch.float64) * 2 - 1, 3)


def test_channels_last_is_kept(net: ResNet50V2) -> None:
    layouts = []
    handle = net.norm.register_forward_hook(
        lambda _m, _i, out: layouts.append(out.is_contiguous(memory_format=torch.channels_last))
    )
    images = torch.randn(2, 3, 96, 96).to(memory_format=torch.channels_last)
    with torch.no_grad():
        net.to(memory_format=torch.channels_last)(images)
    handle.remove()
    assert layouts == [True]
