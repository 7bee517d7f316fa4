import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audit.confidence import (
    bayes_terms,
    confidence_lower_bound,
    estimate_transition_matrix,
    fit_transition_share,
    label_posterior,
    mix_with_identity,
)

Floats = NDArray[np.float64]


def posterior(p: Floats, given: NDArray[np.int64], transition_matrix: Floats) -> Floats:
    """Return P(class | picture, given label), (N, C), by Bayes' rule as it stands."""
    joint = p * transition_matrix[:, given].T
    return joint / joint.sum(axis=1, keepdims=True)


def sample_classes(p: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a class for each row of probabilities."""
    draws = rng.random((len(p), 1))
    return (p.cumsum(axis=1) < draws).sum(axis=1).clip(max=p.shape[1] - 1)


def share_and_posterior(
    p: Floats, given: NDArray[np.int64]
) -> tuple[float, Floats, Floats, NDArray[np.int64]]:
    """Return s, P(suggested), P(given label is right) and the suggestions."""
    suggested = p.argmax(axis=1)
    transition_matrix = estimate_transition_matrix(suggested, given, p.shape[1])
    terms = bayes_terms(
        torch.from_numpy(p), torch.from_numpy(given), torch.from_numpy(transition_matrix)
    )
    confidence, right, _ = label_posterior(terms, torch.from_numpy(given), transition_matrix)
    share = fit_transition_share(terms.p_given.numpy(), terms.label_likelihood.numpy())
    return share, confidence.numpy(), right.numpy(), suggested


def test_transition_by_hand() -> None:
    found = estimate_transition_matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    third = 1 / 3
    expected = [
        [(2 + third) / 4, (1 + third) / 4, third / 4],
        [third / 2, (1 + third) / 2, third / 2],
        [third, third, third],
    ]
    np.testing.assert_allclose(found, expected)


def test_bayes_terms_by_hand() -> None:
    transition_matrix = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    found = bayes_terms(torch.tensor([[0.3, 0.7]]), torch.tensor([0]), transition_matrix)
    assert found.suggested.tolist() == [1]
    assert found.p_suggested.tolist() == pytest.approx([0.7])
    assert found.p_given.tolist() == pytest.approx([0.3])
    assert found.label_likelihood.tolist() == pytest.approx([0.3 * 0.9 + 0.7 * 0.4])


def test_the_posterior_is_bayes_rule_with_the_fitted_share() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=300)
    given = sample_classes(0.5 * p + 0.125, rng)
    share, confidence, right, suggested = share_and_posterior(p, given)
    assert 0.01 < share < 0.99
    expected = posterior(
        p, given, mix_with_identity(estimate_transition_matrix(suggested, given, 4), share)
    )
    place = np.arange(300)
    # what is judged is float32: 6e-8 of 1, and a few such
    np.testing.assert_allclose(confidence, expected[place, suggested], atol=1e-6)
    np.testing.assert_allclose(right, expected[place, given], atol=1e-6)
    transition_matrix = estimate_transition_matrix(suggested, given, 4)
    terms = bayes_terms(*map(torch.from_numpy, (p, given, transition_matrix)))
    # float32 again
    p_right_full = label_posterior(
        terms, torch.from_numpy(given), transition_matrix
    ).p_right_full_transition
    np.testing.assert_allclose(
        p_right_full, posterior(p, given, transition_matrix)[place, given], atol=1e-6
    )


def test_the_share_is_the_likeliest_on_a_grid() -> None:
    rng = np.random.default_rng(1)
    p_given, label_likelihood = rng.random((2, 500))
    grid = np.linspace(0, 1, 10_001)
    likelihood = [np.log((1 - s) * p_given + s * label_likelihood).mean() for s in grid]
    assert fit_transition_share(p_given, label_likelihood) == pytest.approx(
        grid[int(np.argmax(likelihood))], abs=2e-4
    )


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_a_network_that_knows_little_calls_no_label_wrong_that_is_right(sharpness: float) -> None:
    rng = np.random.default_rng(2)
    z = sharpness * rng.normal(size=(20_000, 10))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    given = sample_classes(p, rng)  # all right, and the network as often as it says
    share, _, right, suggested = share_and_posterior(p, given)
    assert (suggested != given).mean() > 0.2
    assert share < 0.03
    assert (right > 0.5).mean() > 0.99


def test_a_network_that_is_right_believes_what_it_counts() -> None:
    rng = np.random.default_rng(3)
    noise = 0.6 * np.eye(5) + 0.08
    true = rng.integers(5, size=20_000)
    given = sample_classes(noise[true], rng)
    p = 0.995 * np.eye(5)[true] + 0.001
    share, confidence, right, _ = share_and_posterior(p, given)
    assert share > 0.98
    wrong = given != true
    assert (right[wrong] < 0.5).all()
    assert (right[~wrong] > 0.5).all()
    assert (confidence[wrong] > 0.9).all()


@pytest.mark.parametrize(("sharpness", "wrong"), [(1.0, 0.36), (3.0, 0.36), (3.0, 0.09)])
def test_the_posterior_is_calibrated(sharpness: float, wrong: float) -> None:
    """Over labels that are wrong at random, of a network that is right as often as it says.

    Within 0.02, where a share of 16,000 has a standard error of 0.003: T is counted by suggestions,
    not by true classes, and scaled by one number, so that no more can be asked for. With all of T
    believed, labels seem to be wrong 0.07 to 0.33 more often than they are.
    """
    rng = np.random.default_rng(4)
    z = sharpness * rng.normal(size=(30_000, 10))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    true = sample_classes(p, rng)
    flips = rng.random(len(true)) < wrong * 10 / 9
    given = np.where(flips, rng.integers(10, size=len(true)), true)
    _, confidence, right, suggested = share_and_posterior(p, given)
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
    p_class_full_transition = posterior(p, given, estimate_transition_matrix(suggested, given, 10))
    assert p_class_full_transition[np.arange(len(given)), given].mean() < is_right.mean() - 0.06


def test_the_bound_is_never_above_the_posterior_where_mistakes_are_rarer_than_right_labels() -> (
    None
):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), size=500)
    transition_matrix = 0.7 * np.eye(4) + 0.3 * rng.dirichlet(np.ones(4), size=4)
    given = rng.integers(4, size=500)
    suggested = p.argmax(axis=1)
    # all of T is believed: a bound for any share below
    exact = posterior(p, given, transition_matrix)
    place = np.arange(500)
    found = confidence_lower_bound(p[place, suggested], suggested, given, transition_matrix)
    differ = suggested != given
    assert (found <= exact[place, suggested] + 1e-12)[differ].all()
    assert np.array_equal(found[~differ], p[place, suggested][~differ])


def test_two_classes_need_no_bound() -> None:
    rng = np.random.default_rng(5)
    sure = rng.uniform(0.5, 1, size=400)
    suggested, given = rng.integers(2, size=(2, 400))
    p = np.where(np.arange(2) == suggested[:, None], sure[:, None], 1 - sure[:, None])
    transition_matrix = estimate_transition_matrix(suggested, given, 2)
    place = np.arange(400)
    differ = suggested != given
    p_given = p[place, given]
    label_likelihood = (p * transition_matrix[:, given].T).sum(axis=1)
    # of examples whose label is the suggestion, the bound takes the rest for no label's
    label_likelihood[~differ] = (sure * transition_matrix[suggested, given])[~differ]
    share = fit_transition_share(p_given, label_likelihood)
    exact = posterior(p, given, mix_with_identity(transition_matrix, share))
    found = confidence_lower_bound(sure, suggested, given, transition_matrix)
    np.testing.assert_allclose(found[differ], exact[place, suggested][differ])
