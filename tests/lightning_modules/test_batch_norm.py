import pytest
import torch
from torch import nn

from lightning_modules.batch_norm import batch_statistics_only


def test_passes_inside_normalise_by_the_batch_and_move_nothing() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    image = torch.randn(5, 3, 6, 6)
    before = {name: value.clone() for name, value in net[1].named_buffers()}
    with batch_statistics_only(net):
        inside = net(image)
    assert all(torch.equal(before[name], value) for name, value in net[1].named_buffers())
    torch.testing.assert_close(inside.mean((0, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0)

    outside = net(image)
    torch.testing.assert_close(inside, outside)
    assert net[1].num_batches_tracked == 1
    assert not torch.equal(before["running_mean"], net[1].running_mean)


def test_tracking_comes_back_after_an_error() -> None:
    net = nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(ZeroDivisionError), batch_statistics_only(net):
        _ = 1 / 0
    assert [layer.track_running_stats for layer in net] == [True, False]
