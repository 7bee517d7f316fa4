import numpy as np
import pytest
import torch

from audit.look import TEMPERATURES, fit_temperature, look
from datamodules.batch import Batch


def batches(logits: torch.Tensor, label: torch.Tensor, size: int) -> list[Batch]:
    """Return batches whose images are their own logits."""
    index = torch.arange(len(label)) * 3
    parts = (part.split(size) for part in (logits, label, label, index))
    return [Batch(*one) for one in zip(*parts, strict=True)]


EVEN = torch.full((4, 4), 0.25)  # says nothing


def test_a_look_by_hand() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    label = torch.tensor([0, 2, 1])
    of_class = torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
    index, given, every = look(batches(p.log(), label, 2), lambda batch: batch.image, of_class)
    assert index.tolist() == [0, 3, 6]
    assert given.tolist() == [0, 2, 1]
    assert every.suggested.tolist() == [0, 1, 2]
    assert every.of_suggested.tolist() == pytest.approx([0.7, 0.6, 0.5])
    assert every.of_given.tolist() == pytest.approx([0.7, 0.3, 0.3])
    expected = [
        0.7 * 0.8 + 0.2 * 0.0 + 0.1 * 0.2,
        0.1 * 0.1 + 0.6 * 0.1 + 0.3 * 0.6,
        0.2 * 0.1 + 0.3 * 0.9 + 0.5 * 0.2,
    ]
    assert every.by_mistake.tolist() == pytest.approx(expected)


def test_temperature_changes_no_suggestion() -> None:
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    made = batches(logits, torch.zeros(20, dtype=torch.int64), 7)
    plain, warm = (look(made, lambda batch: batch.image, EVEN, t)[2] for t in (1.0, 2.0))
    assert torch.equal(plain.suggested, warm.suggested)
    torch.testing.assert_close(warm.of_suggested, (logits / 2).softmax(dim=1).amax(dim=1))
    torch.testing.assert_close(warm.of_given, (logits / 2).softmax(dim=1)[:, 0])


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_known_model_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(20_000, 5)) * 3)
    p = (logits / true).softmax(dim=1).numpy()
    label = torch.from_numpy((p.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1).clip(max=4))
    found = fit_temperature(batches(logits, label, 6_000), lambda batch: batch.image)
    assert found == pytest.approx(true, rel=0.03)


def test_a_probe_known_by_heart_asks_for_the_lowest_temperature_there_is() -> None:
    logits = 4 * torch.eye(3)
    found = fit_temperature(batches(logits, torch.arange(3), 3), lambda batch: batch.image)
    assert found == pytest.approx(TEMPERATURES[0], rel=0.01)
