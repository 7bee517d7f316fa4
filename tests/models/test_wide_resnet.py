"""WRN-28-10 against numbers recorded from the reference, and its derivatives."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from models.wide_resnet import WideResNet
from tests.golden import (
    Array,
    fingerprints,
    images_to_torch,
    load,
    load_variables,
    parameter_names,
    statistic_names,
    to_tf,
)
from tests.models.derivatives import check_derivatives

CONF = Path(__file__).parents[2] / "conf" / "model" / "wrn28_10.yaml"
CASE = "wrn28_10_10/"

# Ten times the distance between the float32 record and our own float64 run.
LOGITS_TRAIN = 8e-6
LOGITS_EVAL = 2e-5
STATISTICS = 2e-6
SCALAR = 1e-6
# The README expects 2e-3 in relative L2, from ReLU inputs within rounding of zero, and allows ten
# times as much. Behind the last ReLU there are none.
GRADIENT = 2e-2
GRADIENT_HEAD = 1e-5


class Pass(NamedTuple):
    """One training pass of the network over the golden images, in float32."""

    net: WideResNet  # its moving statistics are those after one update
    logits: Tensor
    reg_loss: Tensor
    loss: Tensor


def relative(ours: Tensor, theirs: Array) -> float:
    """Largest difference over largest magnitude."""
    return float(np.abs(ours.detach().double().numpy() - theirs).max() / np.abs(theirs).max())


def relative_l2(ours: list[Array], theirs: list[Array]) -> float:
    """Norm of the difference over the norm, of whole lists."""
    difference = [np.linalg.norm(a - b) for a, b in zip(ours, theirs, strict=True)]
    return float(np.linalg.norm(difference) / np.linalg.norm([np.linalg.norm(b) for b in theirs]))


def golden_variables() -> dict[str, Array]:
    """Build the weights by the README's recipe."""
    golden = load("case_G_networks")
    values: dict[str, Array] = {}
    shapes = golden[CASE + "variable_shapes_padded"]
    for i, (name, padded) in enumerate(zip(golden[CASE + "variable_names"], shapes, strict=True)):
        shape = tuple(int(side) for side in padded if side)
        z = np.random.RandomState(1000 + i).standard_normal(shape)
        if len(shape) == 4:
            z *= np.sqrt(2 / np.prod(shape[:3]))
        elif len(shape) == 2:
            z *= 0.05
        elif name.endswith("/gamma"):
            z = 1 + 0.1 * z
        else:
            z *= 0.1
        values[str(name)] = z.astype(np.float32)
    return values


@pytest.fixture(scope="module")
def trained_once() -> Pass:
    golden = load("case_G_networks")
    values = golden_variables()
    prints = fingerprints(values.values())
    for key, value in prints.items():
        np.testing.assert_allclose(value, golden[f"{CASE}weights/{key}"], rtol=1e-10, atol=1e-10)

    conf = OmegaConf.load(CONF)
    net = instantiate(conf.net, num_classes=10)
    load_variables(net, list(values), values)
    logits = net(images_to_torch(golden[CASE + "images"]))
    assert conf.decayed == "all"
    reg_loss = conf.weight_decay * torch.stack([(p**2).sum() for p in net.parameters()]).sum() / 2
    labels = torch.from_numpy(golden[CASE + "labels"]).long()
    return Pass(net, logits, reg_loss, F.cross_entropy(logits, labels) + reg_loss)


def statistics(net: WideResNet, case: str) -> tuple[list[Array], list[Array]]:
    golden = load("case_G_networks")
    names = statistic_names(net, golden[CASE + "variable_names"])
    state = net.state_dict()
    ours = [state[mine].numpy() for mine in names.values()]
    return ours, [golden[f"{CASE}{case}/{theirs}"] for theirs in names]


def test_golden_logits_and_losses(trained_once: Pass) -> None:
    golden = load("case_G_networks")
    assert relative(trained_once.logits, golden[CASE + "logits_train"]) < LOGITS_TRAIN
    assert relative(trained_once.reg_loss, golden[CASE + "reg_loss"]) < SCALAR
    assert relative(trained_once.loss, golden[CASE + "ce_plus_reg"]) < SCALAR


def test_golden_moving_statistics_and_evaluation(trained_once: Pass) -> None:
    golden = load("case_G_networks")
    ours, theirs = statistics(trained_once.net, "bn_after_1_update")
    assert len(ours) == 50
    assert relative_l2(ours, theirs) < STATISTICS

    # The same batch 25 times: 1 - 0.9^25 of it and 0.9^25 of the start (mean 0, variance 1).
    net = WideResNet(num_classes=10)
    net.load_state_dict(trained_once.net.state_dict())
    for name, buffer in net.named_buffers():
        if name.endswith(("mean", "var")):
            start = 1.0 if name.endswith("var") else 0.0
            batch = start + (buffer.double() - start) / 0.1
            buffer.copy_(start + (1 - 0.9**25) * (batch - start))
    assert relative_l2(*statistics(net, "bn_after_25_updates")) < STATISTICS
    with torch.no_grad():
        logits = net.eval()(images_to_torch(golden[CASE + "images"]))
    assert relative(logits, golden[CASE + "logits_eval_with_25_updates_stats"]) < LOGITS_EVAL


def test_golden_gradient(trained_once: Pass) -> None:
    golden = load("case_G_networks")
    net = trained_once.net
    names = parameter_names(net, golden[CASE + "variable_names"])
    tensors = torch.autograd.grad(trained_once.loss, list(net.parameters()), retain_graph=True)
    ours = {name: to_tf(tensor) for name, tensor in zip(names, tensors, strict=True)}

    whole = [name for name in names if f"{CASE}grad/{name}" in golden]
    assert len(whole) == 7
    for name in whole:
        error = relative_l2([ours[name]], [golden[f"{CASE}grad/{name}"]])
        assert error < (GRADIENT_HEAD if "unit_last" in name else GRADIENT), name

    sizes = golden[CASE + "grad/fp_l2"]
    for key, value in fingerprints(ours.values()).items():
        difference = value - golden[f"{CASE}grad/{key}"]
        # An inner product's error against the norm of what it is taken of.
        assert np.linalg.norm(difference) < GRADIENT * np.linalg.norm(sizes), key
        if key == "fp_l2":
            assert (np.abs(difference) < GRADIENT * sizes).all()


@pytest.mark.parametrize(("num_classes", "count"), [(10, 36_220_634), (100, 36_278_324)])
def test_parameter_count(num_classes: int, count: int) -> None:
    conf = OmegaConf.load(CONF)
    assert conf.name == "wrn28_10"
    with torch.device("meta"):
        net = instantiate(conf.net, num_classes=num_classes)
    assert sum(p.numel() for p in net.parameters()) == count


def test_fresh_weights_are_distributed_as_the_reference_draws_them() -> None:
    """Two samples' means differ by σ√(2/n), their deviations by σ√((κ-1)/(2n)), κ the kurtosis."""
    golden = load("case_G_networks")
    torch.manual_seed(0)
    net = WideResNet(num_classes=10)
    ours = dict(net.named_parameters())
    names = parameter_names(net, golden[CASE + "variable_names"])
    rows = dict(
        zip(golden["wrn28_10_init/names"], golden["wrn28_10_init/mean_std_min_max"], strict=True)
    )
    for theirs, mine in names.items():
        mean, std, low, high = rows[theirs]
        values = ours[mine].detach().double()
        if values.ndim == 1:
            assert (values == mean).all()
            assert std == 0
            continue
        n = values.numel()
        dense = values.ndim == 2
        sigma = (3 * 10) ** -0.5 if dense else (2 / (9 * len(values))) ** 0.5
        kurtosis = 1.8 if dense else 3.0
        assert abs(values.mean() - mean) < 4 * sigma * (2 / n) ** 0.5, mine
        assert abs(values.std() - std) < 4 * sigma * ((kurtosis - 1) / (2 * n)) ** 0.5, mine
        for extreme in (values.max(), -values.min(), high, -low):
            if dense:
                assert 0.99 * 10**-0.5 < extreme < 10**-0.5, mine
            elif n > 20_000:
                assert extreme > 3.5 * sigma, f"{mine} looks truncated"


def test_derivatives() -> None:
    torch.manual_seed(0)
    net = WideResNet(num_classes=3, depth=10, width=2)
    check_derivatives(net, torch.rand(4, 3, 8, 8, dtype=torch.float64) * 2 - 1, 3)


def test_channels_last_is_kept_and_changes_nothing() -> None:
    torch.manual_seed(0)
    net = WideResNet(num_classes=3, depth=10, width=2).double()
    images = torch.rand(4, 3, 16, 16, dtype=torch.float64)
    expected = net(images)
    layouts = []
    for group in net.groups:
        group.register_forward_hook(
            lambda _module, _inputs, output: layouts.append(
                output.is_contiguous(memory_format=torch.channels_last)
            )
        )
    net.to(memory_format=torch.channels_last)
    ours = net(images.to(memory_format=torch.channels_last))
    assert layouts == [True, True, True]
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("depth", [4, 27, 29])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth={depth} is not 6n \+ 4.*model\.net\.depth"):
        WideResNet(num_classes=10, depth=depth)


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"width=0 is not.*model\.net\.width"):
        WideResNet(num_classes=10, width=0)


def test_images_that_do_not_pool_are_refused() -> None:
    net = WideResNet(num_classes=10, depth=10, width=1)
    with pytest.raises(ValueError, match="30x32 do not pass"):
        net(torch.zeros(2, 3, 30, 32))
