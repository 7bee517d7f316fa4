import numpy as np
import pytest
import torch

from audit.confidence import at_least, posterior, transition


def test_transition_by_hand() -> None:
    found = transition(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    third = 1 / 3
    expected = [
        [(2 + third) / 4, (1 + third) / 4, third / 4],
        [third / 2, (1 + third) / 2, third / 2],
        [third, third, third],
    ]
    np.testing.assert_allclose(found, expected)


def test_bayes_rule_by_hand() -> None:
    of_class = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    found = posterior(torch.tensor([[0.3, 0.7]]), torch.tensor([0]), of_class)
    total = 0.3 * 0.9 + 0.7 * 0.4
    assert found[0].tolist() == pytest.approx([0.3 * 0.9 / total, 0.7 * 0.4 / total])


def test_the_posterior_is_the_frequency_it_speaks_of() -> None:
    rng = np.random.default_rng(0)
    of_class = np.array([[0.6, 0.3, 0.1], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
    belief = np.array([0.5, 0.2, 0.3])
    true = rng.choice(3, size=200_000, p=belief)
    given = (of_class[true].cumsum(axis=1) < rng.random((len(true), 1))).sum(axis=1)
    for label in range(3):
        expected = np.bincount(true[given == label], minlength=3) / (given == label).sum()
        found = posterior(
            torch.from_numpy(belief)[None], torch.tensor([label]), torch.from_numpy(of_class)
        )
        # at least 50,000 draws a label: a share's standard error is below 0.0023
        np.testing.assert_allclose(found[0], expected, atol=0.01)


def test_the_bound_is_never_above_the_posterior_where_mistakes_are_rarer_than_right_labels() -> (
    None
):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=500)
    of_class = 0.7 * np.eye(4) + 0.3 * rng.dirichlet(np.ones(4), size=4)
    given = rng.integers(4, size=500)
    suggested = p.argmax(axis=1)
    exact = posterior(*map(torch.from_numpy, (p, given, of_class))).numpy()
    place = np.arange(500)
    found = at_least(p[place, suggested], suggested, given, of_class)
    differ = suggested != given
    assert (found <= exact[place, suggested] + 1e-12)[differ].all()
    assert np.array_equal(found[~differ], p[place, suggested][~differ])


def test_two_classes_need_no_bound() -> None:
    p, of_class = np.array([0.8]), np.array([[0.9, 0.1], [0.3, 0.7]])
    found = at_least(p, np.array([1]), np.array([0]), of_class)
    exact = posterior(
        torch.tensor([[0.2, 0.8]]).double(), torch.tensor([0]), torch.tensor(of_class)
    )
    assert float(found[0]) == pytest.approx(float(exact[0, 1]))
