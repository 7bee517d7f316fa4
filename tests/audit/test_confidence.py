import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audit.confidence import (
    at_least,
    believed,
    believed_share,
    judged,
    said,
    transition,
)

Floats = NDArray[np.float64]


def posterior(p: Floats, given: NDArray[np.int64], of_class: Floats) -> Floats:
    """Return P(class | picture, given label), (N, C), by Bayes' rule as it stands."""
    joint = p * of_class[:, given].T
    return joint / joint.sum(axis=1, keepdims=True)


def drawn(p: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a class for each row of probabilities."""
    draws = rng.random((len(p), 1))
    return (p.cumsum(axis=1) < draws).sum(axis=1).clip(max=p.shape[1] - 1)


def share_and_judgement(
    p: Floats, given: NDArray[np.int64]
) -> tuple[float, Floats, Floats, NDArray[np.int64]]:
    """Return s, P(suggested), P(given label is right) and the suggestions."""
    suggested = p.argmax(axis=1)
    of_class = transition(suggested, given, p.shape[1])
    every = said(torch.from_numpy(p), torch.from_numpy(given), torch.from_numpy(of_class))
    confidence, right, _ = judged(every, torch.from_numpy(given), of_class)
    share = believed_share(every.of_given.numpy(), every.by_mistake.numpy())
    return share, confidence.numpy(), right.numpy(), suggested


def test_transition_by_hand() -> None:
    found = transition(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    third = 1 / 3
    expected = [
        [(2 + third) / 4, (1 + third) / 4, third / 4],
        [third / 2, (1 + third) / 2, third / 2],
        [third, third, third],
    ]
    np.testing.assert_allclose(found, expected)


def test_what_is_said_by_hand() -> None:
    of_class = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    found = said(torch.tensor([[0.3, 0.7]]), torch.tensor([0]), of_class)
    assert found.suggested.tolist() == [1]
    assert found.of_suggested.tolist() == pytest.approx([0.7])
    assert found.of_given.tolist() == pytest.approx([0.3])
    assert found.by_mistake.tolist() == pytest.approx([0.3 * 0.9 + 0.7 * 0.4])


def test_the_judgement_is_bayes_rule_with_the_share_that_is_believed() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=300)
    given = drawn(0.5 * p + 0.125, rng)
    share, confidence, right, suggested = share_and_judgement(p, given)
    assert 0.01 < share < 0.99
    expected = posterior(p, given, believed(transition(suggested, given, 4), share))
    place = np.arange(300)
    # what is judged is float32: 6e-8 of 1, and a few such
    np.testing.assert_allclose(confidence, expected[place, suggested], atol=1e-6)
    np.testing.assert_allclose(right, expected[place, given], atol=1e-6)
    of_class = transition(suggested, given, 4)
    every = said(*map(torch.from_numpy, (p, given, of_class)))
    # float32 again
    by_all = judged(every, torch.from_numpy(given), of_class).right_by_all
    np.testing.assert_allclose(by_all, posterior(p, given, of_class)[place, given], atol=1e-6)


def test_the_share_is_the_likeliest_on_a_grid() -> None:
    rng = np.random.default_rng(1)
    of_given, by_mistake = rng.random((2, 500))
    grid = np.linspace(0, 1, 10_001)
    likelihood = [np.log((1 - s) * of_given + s * by_mistake).mean() for s in grid]
    assert believed_share(of_given, by_mistake) == pytest.approx(
        grid[int(np.argmax(likelihood))], abs=2e-4
    )


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_a_network_that_knows_little_calls_no_label_wrong_that_is_right(sharpness: float) -> None:
    rng = np.random.default_rng(2)
    z = sharpness * rng.normal(size=(20_000, 10))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    given = drawn(p, rng)  # all right, and the network as often as it says
    share, _, right, suggested = share_and_judgement(p, given)
    assert (suggested != given).mean() > 0.2
    assert share < 0.03
    assert (right > 0.5).mean() > 0.99


def test_a_network_that_is_right_believes_what_it_counts() -> None:
    rng = np.random.default_rng(3)
    noise = 0.6 * np.eye(5) + 0.08
    true = rng.integers(5, size=20_000)
    given = drawn(noise[true], rng)
    p = 0.995 * np.eye(5)[true] + 0.001
    share, confidence, right, _ = share_and_judgement(p, given)
    assert share > 0.98
    wrong = given != true
    assert (right[wrong] < 0.5).all()
    assert (right[~wrong] > 0.5).all()
    assert (confidence[wrong] > 0.9).all()


@pytest.mark.parametrize(("sharpness", "wrong"), [(1.0, 0.36), (3.0, 0.36), (3.0, 0.09)])
def test_the_judgement_is_the_frequency_it_speaks_of(sharpness: float, wrong: float) -> None:
    """Over labels that are wrong at random, of a network that is right as often as it says.

    Within 0.02, where a share of 16,000 has a standard error of 0.003: T is counted by suggestions,
    not by true classes, and scaled by one number, so that no more can be asked for. With all of T
    believed, labels seem to be wrong 0.07 to 0.33 more often than they are.
    """
    rng = np.random.default_rng(4)
    z = sharpness * rng.normal(size=(30_000, 10))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    true = drawn(p, rng)
    flips = rng.random(len(true)) < wrong * 10 / 9
    given = np.where(flips, rng.integers(10, size=len(true)), true)
    _, confidence, right, suggested = share_and_judgement(p, given)
    is_right = given == true
    assert right.mean() == pytest.approx(is_right.mean(), abs=0.02)
    for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 1.0)):
        among = (right > low) & (right <= high)
        assert is_right[among].mean() == pytest.approx(right[among].mean(), abs=0.02)
    replaced = (suggested != given) & (confidence > 0.5)
    # the surest few of many: of 151 at the first noise, a standard error of 0.04
    margin = 0.02 + 2 * 0.5 / np.sqrt(replaced.sum())
    replaced_right = (suggested == true)[replaced].mean()
    assert replaced_right == pytest.approx(confidence[replaced].mean(), abs=margin)
    all_of_it = posterior(p, given, transition(suggested, given, 10))
    assert all_of_it[np.arange(len(given)), given].mean() < is_right.mean() - 0.06


def test_the_bound_is_never_above_the_posterior_where_mistakes_are_rarer_than_right_labels() -> (
    None
):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=500)
    of_class = 0.7 * np.eye(4) + 0.3 * rng.dirichlet(np.ones(4), size=4)
    given = rng.integers(4, size=500)
    suggested = p.argmax(axis=1)
    exact = posterior(p, given, of_class)  # all of T is believed: a bound for any share below
    place = np.arange(500)
    found = at_least(p[place, suggested], suggested, given, of_class)
    differ = suggested != given
    assert (found <= exact[place, suggested] + 1e-12)[differ].all()
    assert np.array_equal(found[~differ], p[place, suggested][~differ])


def test_two_classes_need_no_bound() -> None:
    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1, size=400)
    suggested, given = rng.integers(2, size=(2, 400))
    p = np.where(np.arange(2) == suggested[:, None], sure[:, None], 1 - sure[:, None])
    of_class = transition(suggested, given, 2)
    place = np.arange(400)
    differ = suggested != given
    of_given = p[place, given]
    by_mistake = (p * of_class[:, given].T).sum(axis=1)
    # of examples whose label is the suggestion, the bound takes the rest for no label's
    by_mistake[~differ] = (sure * of_class[suggested, given])[~differ]
    share = believed_share(of_given, by_mistake)
    exact = posterior(p, given, believed(of_class, share))
    found = at_least(sure, suggested, given, of_class)
    np.testing.assert_allclose(found[differ], exact[place, suggested][differ])
