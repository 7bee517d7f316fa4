import pytest
import torch

from audit.look import logits_of, look
from datamodules.batch import Batch


def batches(logits: torch.Tensor, label: torch.Tensor, size: int) -> list[Batch]:
    """Return batches whose images are their own logits."""
    index = torch.arange(len(label)) * 3
    parts = (part.split(size) for part in (logits, label, label, index))
    return [Batch(*one) for one in zip(*parts, strict=True)]


def test_a_look_by_hand() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    label = torch.tensor([0, 2, 1])
    of_class = torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
    index, given, every = look(batches(p, label, 2), lambda batch: batch.image, of_class)
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


def test_logits_are_those_of_all_batches_in_order() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([2, 0, 1, 1, 2])
    every, labels = logits_of(batches(logits, label, 2), lambda batch: batch.image)
    assert torch.equal(every, logits)
    assert torch.equal(labels, label)
