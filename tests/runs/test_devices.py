import pytest
import torch

from runs.devices import with_device_count
from runs.settings import default_run_dir
from tests.compose import settings


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)


@pytest.mark.usefixtures("eight")
def test_all_devices_are_the_experiment_of_their_number() -> None:
    made, said = (
        settings("trainer=ddp", "batch_size=200"),
        settings("trainer=ddp", "trainer.devices=8", "batch_size=200"),
    )
    assert with_device_count(made)["trainer"]["devices"] == 8
    assert made["trainer"]["devices"] == -1  # what was given stays as it was
    assert default_run_dir(with_device_count(made)) == default_run_dir(said)
    assert default_run_dir(made) != default_run_dir(said)
    with pytest.raises(ValueError, match=r"batch_size=100 .* give a multiple of 8"):
        with_device_count(settings("trainer=ddp"))


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize("given", [(), ("trainer.devices=2",), ("trainer=cpu",)])
def test_a_number_stays(given: tuple[str, ...]) -> None:
    made = settings(*given)
    assert with_device_count(made) == made


def test_without_a_gpu_lightning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert with_device_count(settings("trainer=ddp"))["trainer"]["devices"] == -1
    assert with_device_count(settings("trainer.devices=auto"))["trainer"]["devices"] == 1
