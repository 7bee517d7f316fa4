"""ResNet-29 against numbers recorded from the reference, and its derivatives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from models.resnet_cifar import TRUNCATED_STD, ResNetCifar
from tests.golden import images_to_torch, load, load_variables, parameter_names, to_tf
from tests.models.derivatives import check_derivatives

CONF = Path(__file__).parents[2] / "conf" / "model"

# Ten times the distance between the float32 record and float64 recomputation (golden README).
LOGITS = 4e-6
REG_LOSS = 1e-6


def relative(ours: torch.Tensor, theirs: np.ndarray) -> float:
    """Largest difference over largest magnitude."""
    return float(np.abs(ours.detach().double().numpy() - theirs).max() / np.abs(theirs).max())


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def golden_net(request: pytest.FixtureRequest) -> ResNetCifar:
    net = ResNetCifar(num_classes=10)
    names = load("case_A_ieg")["meta/variable_names"]
    load_variables(net, names, load("resnet29_init_state"))
    return net.to(request.param)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_golden_logits_in_training_and_evaluation(
    golden_net: ResNetCifar, layout: torch.memory_format
) -> None:
    golden = load("case_G_networks")
    images = images_to_torch(golden["resnet29_10/images"]).to(golden_net.dense.weight.dtype)
    golden_net.to(memory_format=layout)
    images = images.to(memory_format=layout)

    fresh = golden_net.eval()(images)
    training = golden_net.train()(images)
    updated = golden_net.eval()(images)

    assert relative(fresh, golden["resnet29_10/logits_eval"]) < LOGITS
    assert relative(training, golden["resnet29_10/logits_train"]) < LOGITS
    assert relative(updated, golden["resnet29_10/logits_eval_after_one_bn_update"]) < LOGITS


def test_golden_decay_as_the_configuration_states_it(golden_net: ResNetCifar) -> None:
    conf = OmegaConf.load(CONF / "resnet29.yaml")
    assert conf.decayed == "kernels"
    kernels = [p for p in golden_net.parameters() if p.ndim > 1]
    ours = conf.weight_decay * sum((p.double() ** 2).sum() for p in kernels) / 2
    assert relative(ours, load("case_G_networks")["resnet29_10/reg_loss"]) < REG_LOSS


def test_the_other_activation_is_a_different_function() -> None:
    golden = load("case_G_networks")
    net = ResNetCifar(num_classes=10, first_activation=True)
    names = load("case_A_ieg")["meta/variable_names"]
    load_variables(net, names, load("resnet29_init_state"))
    assert sum(isinstance(m, nn.ReLU) for m in net.modules()) == 9
    logits = net(images_to_torch(golden["resnet29_10/images"]))
    assert relative(logits, golden["resnet29_10/logits_train"]) > 0.1


@pytest.mark.parametrize(
    ("model", "num_classes", "count"),
    [("resnet29", 10, 840_730), ("resnet29", 100, 863_860), ("resnet11", 10, 296_090)],
)
def test_parameter_count(model: str, num_classes: int, count: int) -> None:
    conf = OmegaConf.load(CONF / f"{model}.yaml")
    assert conf.name == model
    net = instantiate(conf.net, num_classes=num_classes)
    assert sum(p.numel() for p in net.parameters()) == count


def test_fresh_weights_are_distributed_as_the_reference_draws_them() -> None:
    """Two samples' means differ by σ√(2/n), their deviations by σ√((κ-1)/(2n)), κ the kurtosis."""
    golden = load("case_G_networks")
    torch.manual_seed(0)
    net = ResNetCifar(num_classes=10)
    ours = dict(net.named_parameters())
    names = parameter_names(net, load("case_A_ieg")["meta/variable_names"])
    rows = dict(
        zip(golden["resnet29_init/names"], golden["resnet29_init/mean_std_min_max"], strict=True)
    )
    for theirs, mine in names.items():
        mean, std, low, high = rows[theirs]
        values = to_tf(ours[mine]).astype(np.float64)
        if values.ndim == 1:
            assert (values == mean).all()
            assert std == 0
            continue
        fans = np.prod(values.shape[:-2]) * (values.shape[-2] + values.shape[-1])
        sigma = np.sqrt(2 / fans)
        dense = values.ndim == 2
        # 1.8 for a uniform, 2.366 for a normal cut at two sigma (its moments in closed form).
        kurtosis = 1.8 if dense else 2.366
        bound = sigma * (3**0.5 if dense else 2 / TRUNCATED_STD)
        assert abs(values.mean() - mean) < 4 * sigma * (2 / values.size) ** 0.5, mine
        assert abs(values.std() - std) < 4 * sigma * ((kurtosis - 1) / 2 / values.size) ** 0.5, mine
        for extreme in (values.max(), -values.min(), high, -low):
            # P(a sample's largest value misses the last quarter of the range) is below 1e-5.
            assert 0.75 * bound < extreme < bound * (1 + 1e-6), mine


@pytest.mark.parametrize("first_activation", [False, True])
def test_derivatives(first_activation: bool) -> None:
    torch.manual_seed(0)
    net = ResNetCifar(num_classes=3, depth=11, first_activation=first_activation)
    check_derivatives(net, torch.rand(4, 3, 8, 8, dtype=torch.float64) * 2 - 1, 3)


@pytest.mark.parametrize("depth", [2, 10, 28, 30])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth={depth} is not 9n \+ 2.*model\.net\.depth"):
        ResNetCifar(num_classes=10, depth=depth)
