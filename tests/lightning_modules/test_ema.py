import pytest
import torch
from torch import nn

from datamodules.batch import Batch, Step, Views
from lightning_modules.ema import AveragedNetwork, averaging_decay
from lightning_modules.schedules import Schedule
from lightning_modules.supervised import Supervised
from tests.lightning_modules.replay import fit


@pytest.mark.parametrize(
    ("updates", "decay"),
    [(0, 0.1), (1, 2 / 11), (90, 91 / 100), (8_980, 8_981 / 8_990), (10**6, 0.999)],
)
def test_decay_of_the_reference(updates: int, decay: float) -> None:
    assert averaging_decay(updates, 0.999) == pytest.approx(decay)


def test_parameters_are_averaged_and_buffers_taken_over() -> None:
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(net[0].weight, 1.0)
    averaged = AveragedNetwork(net)
    nn.init.constant_(net[0].weight, 3.0)
    net[1].running_mean.fill_(7.0)
    averaged.update(net, 0.75)
    assert averaged.net[0].weight.item() == pytest.approx(0.75 * 1 + 0.25 * 3)
    assert averaged.net[1].running_mean.item() == 7.0
    assert net[0].weight.item() == 3.0


def test_the_average_is_never_trained() -> None:
    averaged = AveragedNetwork(nn.Linear(2, 2))
    assert not any(value.requires_grad for value in averaged.parameters())
    assert not averaged(torch.ones(1, 2)).requires_grad


@pytest.mark.parametrize("order", ["before", "after"])
def test_without_averaging_the_network_itself_is_evaluated(order: str) -> None:
    """Also where the average lags a step: what is not averaged does not lag."""
    schedule = Schedule(learning_rate=0.1, steps_per_epoch=2, max_steps=2)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    module = Supervised(
        net, num_classes=2, schedule=schedule, seed=0, weight_decay=0.0, ema_decay=0.0,
        ema_order=order,
    )  # fmt: skip
    label = torch.tensor([0, 1])
    views = Views(torch.randn(2, 3, 1, 1), None, label)
    before = net[1].weight.detach().clone()
    fit(module, [Step(views, None, Batch(label, label, label, label))] * 2)
    assert not torch.equal(net[1].weight, before)
    assert torch.equal(module.averaged.net[1].weight, net[1].weight)
