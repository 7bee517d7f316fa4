from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import mobilenet_v3_small, resnet18, squeezenet1_1

from lightning_modules.batch_norm import batch_statistics_only
from lightning_modules.passes import Passes
from lightning_modules.shared_convolutions import _KnownConvolution
from models.resnet_cifar import ResNetCifar
from models.wide_resnet import WideResNet
from tests.lightning_modules.test_methods import batch, module_of


class CountConvolutions(TorchDispatchMode):
    """Counts the convolutions that are computed, those of a backward pass left out."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


def odd() -> nn.Module:
    """A convolution that is overwritten, one padded by a word, and a last one like neither."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3, padding="same", groups=2),
        nn.Conv2d(6, 4, (1, 3), padding=(0, 2), dilation=(1, 2)),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def partly_frozen() -> nn.Module:
    net = odd()
    net[0].weight.requires_grad_(False)
    net[3].bias.requires_grad_(False)
    return net


# with the number of convolutions that the second pass must compute
NETS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet11": (lambda: ResNetCifar(num_classes=4, depth=11), 0),
    "wrn10_1": (lambda: WideResNet(num_classes=4, depth=10, width=1), 0),
    "resnet18": (lambda: resnet18(num_classes=4), 0),
    "mobilenet": (lambda: mobilenet_v3_small(num_classes=4), 0),
    "squeezenet": (lambda: squeezenet1_1(num_classes=4), 26),  # all go into an in-place ReLU
    "odd": (odd, 2),
    "partly frozen": (partly_frozen, 2),
}


@pytest.fixture(params=list(NETS))
def passes(request: pytest.FixtureRequest) -> Passes:
    torch.manual_seed(0)
    passes = Passes(NETS[request.param][0]().double())
    passes.seed = 5  # of dropout
    return passes


def images(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(6, 3, 32, 32, dtype=dtype)


def trained(passes: Passes) -> dict[str, Tensor]:
    return {name: value for name, value in passes.net.named_parameters() if value.requires_grad}


def forward_mode(passes: Passes, image: Tensor) -> tuple[Tensor, ...]:
    theta = trained(passes)
    direction = {name: value.detach().cos() for name, value in theta.items()}
    with batch_statistics_only(passes.net):
        return passes.jvp(theta, direction, image)


def with_a_graph(passes: Passes, image: Tensor) -> tuple[Tensor, ...]:
    logits = passes.logits(None, image)
    return logits, *torch.autograd.grad(logits.square().sum(), trained(passes).values())


def test_the_shared_passes_are_plain_ones_bit_for_bit(passes: Passes) -> None:
    image = images()
    expected = forward_mode(passes, image) + with_a_graph(passes, image)
    with passes.sharing(image):
        found = forward_mode(passes, image) + with_a_graph(passes, image)
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("name", NETS)
def test_the_second_pass_computes_only_what_was_lost(name: str) -> None:
    make_net, lost = NETS[name]
    passes, image = Passes(make_net().double()), images()
    with passes.sharing(image):
        forward_mode(passes, image)
        with CountConvolutions() as computed:
            with_a_graph(passes, image)
    assert computed.count == lost


def test_other_images_and_a_first_pass_with_a_graph_share_nothing() -> None:
    passes, image, other = Passes(odd().double()), images(), images()
    with passes.sharing(image), CountConvolutions() as computed:
        with_a_graph(passes, image)
        with_a_graph(passes, image)
        with_a_graph(passes, other)
    assert computed.count == 3 * 3
    forward_mode(passes, image)
    with CountConvolutions() as computed:
        with_a_graph(passes, image)  # outside
    assert computed.count == 3


def test_nothing_is_shared_under_autocast() -> None:
    passes, image = Passes(ResNetCifar(num_classes=4, depth=11)), images(torch.float32)
    in_float32 = passes.logits(None, image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = passes.logits(None, image)
    with passes.sharing(image):
        forward_mode(passes, image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = passes.logits(None, image)
    assert torch.equal(found, expected)
    assert not torch.equal(found, in_float32)


def test_the_step_of_l2r_computes_the_convolutions_of_its_noisy_batch_once() -> None:
    """In forward mode; beside them, only those of the probe's pass."""
    module: Any = module_of("l2r")
    train, probe = batch(False, 1), batch(False, 2)
    with CountConvolutions() as once:
        forward_mode(module.passes, train.weak)
    with CountConvolutions() as for_probe:
        module.passes.logits(None, probe.weak)
    with CountConvolutions() as step:
        module.objective(train, probe)
    assert once.count > 0 < for_probe.count
    assert step.count == once.count + for_probe.count


@pytest.mark.parametrize("geometry", [(1, 0, 1, 1), ((2, 1), (1, 2), (1, 2), 2)], ids=str)
def test_the_gradient_of_a_known_convolution(geometry: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    image, bias = torch.randn(2, 4, 6, 7), torch.randn(4)
    weight = torch.randn(4, 4 // geometry[-1], 3, 3)
    inputs = [value.double().requires_grad_() for value in (image, weight, bias)]

    def convolution(*inputs: Tensor) -> Tensor:
        known = F.conv2d(*(value.detach() for value in inputs), *geometry)
        output: Tensor = _KnownConvolution.apply(known, *inputs, *geometry)
        return output

    assert torch.autograd.gradcheck(convolution, inputs)
