import pytest
import torch
from sklearn.metrics import confusion_matrix

from callbacks.transition import add_pairs, transition_error
from datamodules.batch import KNOWN_WRONG, UNKNOWN


def test_pairs_are_those_of_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted, label, clean = torch.randint(4, (3, 60), generator=generator)
    clean[:20:2], clean[1:20:2] = UNKNOWN, KNOWN_WRONG
    counts = torch.zeros(2, 4, 4, dtype=torch.int32)
    for batch in range(0, 60, 15):
        part = slice(batch, batch + 15)
        add_pairs(counts, predicted[part], label[part], clean[part])
    classes = range(4)
    assert counts[0].tolist() == confusion_matrix(predicted, label, labels=classes).tolist()
    assert counts[1].tolist() == confusion_matrix(clean[20:], label[20:], labels=classes).tolist()


def test_error_by_hand() -> None:
    true = torch.tensor([[6, 4, 0], [0, 10, 0], [0, 0, 0]])
    estimated = torch.tensor([[3, 1, 0], [4, 4, 0], [0, 0, 9]])  # class 2 was predicted, not seen
    assert transition_error(estimated, true) == pytest.approx((0.15 + 0.5) / 2)
    assert transition_error(true, true) == 0


def test_a_class_that_is_never_predicted_has_the_largest_error() -> None:
    true = torch.tensor([[6, 4], [0, 10]])
    collapsed = torch.tensor([[6, 14], [0, 0]])
    assert transition_error(collapsed, true) == pytest.approx((0.3 + 1) / 2)


def test_without_truth_there_is_no_error() -> None:
    assert transition_error(torch.ones(2, 2), torch.zeros(2, 2)) is None
