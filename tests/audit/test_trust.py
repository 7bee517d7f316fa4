import numpy as np
import pytest
import torch

from audit.trust import MAX_LEVEL_RATIO, calibrated, levelled, levels, margin, trust


def test_margin_by_hand() -> None:
    probability = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    found = margin(probability, torch.tensor([0, 2, 2]))
    assert found.tolist() == pytest.approx([0.2, -0.3, 0.7])


def test_margin_of_two_classes_is_twice_the_probability_less_one() -> None:
    p = torch.linspace(0, 1, 11, dtype=torch.float64)
    found = margin(torch.stack([p, 1 - p], dim=1), torch.zeros(11, dtype=torch.int64))
    torch.testing.assert_close(found, 2 * p - 1)


def test_trust_by_hand() -> None:
    margins, visits = np.array([4.0, -4, 1, -1, 0]), np.array([4.0, 4, 2, 1, 0])
    p_right = np.array([1.0, 0.0, 0.1, 0.8, 0.6])
    # one visit counts for nothing, two for a quarter, four for three eighths
    expected = [1, 0, 0.25 * 0.75 + 0.75 * 0.1, 0.8, 0.6]
    assert trust(margins, visits, p_right).tolist() == pytest.approx(expected)
    alone = trust(margins, visits, None)
    assert alone.tolist() == pytest.approx([1, 0, 0.75, 0, 0.5])


def test_trust_is_below_one_half_where_visits_and_end_say_that_the_label_is_wrong() -> None:
    rng = np.random.default_rng(0)
    p = torch.from_numpy(rng.dirichlet(np.ones(4), size=200))
    margins = margin(p, torch.from_numpy(rng.integers(4, size=200))).numpy()
    p_right = rng.random(200)
    agree = (margins > 0) == (p_right > 0.5)
    assert ((trust(margins * 5, np.full(200, 5), p_right) > 0.5) == (margins > 0))[agree].all()
    assert agree.sum() > 50


def test_levelled_probabilities_by_hand() -> None:
    probability = torch.tensor([[0.6, 0.3, 0.1]])
    found = levelled(probability.log(), torch.tensor([0.9, 0.3, 0.5])).softmax(dim=1)
    share = [0.6 / 0.9, 0.3 / 0.3, 0.1 / 0.5]
    assert found[0].tolist() == pytest.approx([one / sum(share) for one in share])


def test_a_class_that_is_never_believed_in_is_not_levelled_up_without_bound() -> None:
    found = levelled(torch.zeros(1, 2), torch.tensor([0.5, 0.0])).exp()
    assert float(found[0, 1] / found[0, 0]) == pytest.approx(MAX_LEVEL_RATIO, rel=1e-4)


def test_levels_by_hand() -> None:
    found = levels(torch.tensor([1.5, 0.0, 0.3]), torch.tensor([3.0, 0.0, 1.0]))
    assert found.tolist() == pytest.approx([0.5, 1.8 / 4, 0.3])


@pytest.mark.parametrize("count", [0, 1, 3, 6])
def test_as_many_lie_below_one_half_as_are_to_and_the_order_stays(count: int) -> None:
    score = np.array([0.9, 0.01, 0.4, 0.55, 0.3, 0.999])
    found = calibrated(score, count)
    assert (found < 0.5).sum() == count
    assert np.array_equal(np.argsort(found), np.argsort(score))
    assert ((found >= 0) & (found <= 1)).all()
    odds = found / (1 - found) / (score / (1 - score))
    np.testing.assert_allclose(odds, odds[0])


def test_ties_on_the_line_are_not_below_it_and_nothing_is_no_trouble() -> None:
    assert calibrated(np.array([0.2, 0.2, 0.9]), 1).tolist()[:2] == pytest.approx([0.5, 0.5])
    assert calibrated(np.array([0.0, 1.0]), 1).tolist() == [0, 1]
    assert len(calibrated(np.zeros(0), 0)) == 0
