import numpy as np
import pytest
from scipy import optimize, special, stats

from datamodules import feature_noise
from datamodules.feature_noise import estimate_posterior, feature_dependent
from datamodules.instance_noise import pixel_features
from datamodules.noise import corrupt_rows, effective_rate
from tests.datamodules.test_instance_noise import assert_rows, examples

TAU = {
    1: lambda u, s: -0.5 * (u - s) * (u - s) + 0.5,
    2: lambda u, s: 1 - (u - s) * (u - s) * (u - s),
    3: lambda u, s: 1 - ((u - s) ** 3) / 3 - ((u - s) ** 2) / 3 - (u - s) / 3,
}


def soft(count: int, num_classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    eta = rng.dirichlet(np.full(num_classes, 0.3), size=count)
    label = np.array([rng.choice(num_classes, p=row) for row in eta])
    return eta, label


@pytest.mark.parametrize(
    ("kind", "tau"), [(1, (0.48, 0.255, 0.5)), (2, (0.992, 0.657, 1)), (3, (0.9173333, 0.489, 1))]
)
def test_feature_dependent_by_hand(kind, tau):
    # margins 0.2 and 0.7; the third example's label is not the likeliest class
    eta = np.array([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
    rows = feature_dependent(eta, np.array([0, 1, 1]), 0.3, kind)
    a, b, c = np.array(tau) * 0.9 / sum(tau)  # none reaches 1
    np.testing.assert_allclose(
        rows, [[1 - a, 0, a], [b, 1 - b, 0], [0, 1 - c, c]], rtol=1e-6, atol=1e-15
    )


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("rate", [0.01, 0.35, 0.7, 0.97])
def test_feature_dependent_equals_a_loop_and_bisection(kind, rate):
    eta, label = soft(300, 5)
    tau, target = np.zeros(300), np.zeros(300, int)
    for i in range(300):
        ranked = sorted(range(5), key=lambda j: -eta[i, j])
        if ranked[0] == label[i]:
            target[i] = ranked[1]
            tau[i] = TAU[kind](eta[i, ranked[0]], eta[i, ranked[1]])
        else:
            target[i] = ranked[0]
            tau[i] = TAU[kind](0.5, 0.5)
    factor = optimize.bisect(lambda k: np.minimum(1, k * tau).mean() - rate, 0, 1e6, xtol=1e-14)
    expected = np.zeros((300, 5))
    for i in range(300):
        expected[i, label[i]] += 1 - min(1, factor * tau[i])
        expected[i, target[i]] += min(1, factor * tau[i])
    rows = feature_dependent(eta, label, rate, kind)
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-12)  # 7e-15 is reached
    assert_rows(rows)
    assert 1 - rows[np.arange(300), label].mean() == pytest.approx(rate, abs=1e-13)
    assert (rows > 0).sum(axis=1).max() <= 2


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_the_measured_rate_is_the_wanted_one(kind):
    eta, label = soft(20_000, 10)
    given = corrupt_rows(feature_dependent(eta, label, 0.35, kind), np.random.default_rng(1))
    low, high = stats.binom.interval(1 - 1e-9, 20_000, 0.35)
    assert low <= effective_rate(label, given) * 20_000 <= high


def test_surer_examples_flip_less():
    sure = np.linspace(0.5, 1, 50)
    for kind in (1, 2, 3):
        rows = feature_dependent(np.stack([sure, 1 - sure], axis=1), np.zeros(50, int), 0.3, kind)
        assert np.all(np.diff(rows[:, 1]) < 0)
        assert rows[-1, 1] == 0


def test_equally_likely_classes_count_in_their_order():
    eta = np.array([[0.2, 0.2, 0.2, 0.4], [0.25, 0.25, 0.25, 0.25]])
    rows = feature_dependent(eta, np.array([3, 0]), 0.5, 2)
    assert rows[0, 0] > 0
    assert rows[1, 1] > 0
    assert np.count_nonzero(rows) == 4


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_feature_dependent_rows_follow_examples_and_classes(kind):
    eta, label = soft(200, 6)
    rows = feature_dependent(eta, label, 0.6, kind)
    order = np.random.default_rng(2).permutation(200)
    shuffled = feature_dependent(eta[order], label[order], 0.6, kind)
    np.testing.assert_allclose(shuffled, rows[order], atol=1e-12)
    new_name = np.random.default_rng(3).permutation(6)
    renamed = np.empty_like(eta)
    renamed[:, new_name] = eta
    np.testing.assert_allclose(
        feature_dependent(renamed, new_name[label], 0.6, kind)[:, new_name], rows, atol=1e-12
    )


def test_feature_dependent_leaves_its_input_and_takes_rounded_rows():
    eta, label = soft(50, 4)
    rounded = eta.astype(np.float32).astype(np.float64)
    before = rounded.copy()
    rows = feature_dependent(rounded, label, 0.4, 3)
    np.testing.assert_array_equal(rounded, before)
    # float32 keeps 6e-8 of a number near 1; 1.2e-8 is reached
    np.testing.assert_allclose(rows, feature_dependent(eta, label, 0.4, 3), atol=1e-7)
    assert_rows(rows)


def test_feature_dependent_rate_0_is_no_noise():
    eta, label = soft(20, 4)
    np.testing.assert_array_equal(feature_dependent(eta, label, 0, 2), np.eye(4)[label])
    np.testing.assert_array_equal(feature_dependent(np.eye(4), np.arange(4), 0, 1), np.eye(4))


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_certain_examples_never_flip_and_bound_the_rate(kind):
    eta = np.array([[1, 0, 0], [0, 1, 0], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]])
    label = np.array([0, 1, 0, 2])
    rows = feature_dependent(eta, label, 0.5, kind)
    np.testing.assert_allclose(rows[[0, 1, 2, 3], label], [1, 1, 0, 0], atol=1e-15)
    with pytest.raises(ValueError, match=r"noise=0.51 cannot be reached.* all but 2 of 4 .* 0.5"):
        feature_dependent(eta, label, 0.51, kind)


@pytest.mark.parametrize(("uncertain", "count"), [(7, 100), (14, 100), (1, 49), (3, 7)])
def test_rounding_refuses_no_rate(uncertain, count):
    eta = np.tile([1.0, 0.0], (count, 1))
    eta[:uncertain] = np.linspace([0.51, 0.49], [0.99, 0.01], uncertain)
    rows = feature_dependent(eta, np.zeros(count, int), uncertain / count, 1)
    np.testing.assert_allclose(rows[:, 1], np.arange(count) < uncertain, atol=1e-12)


def test_the_rate_that_is_offered_can_be_reached():
    eta, label = np.array([[1, 0], [0.6, 0.4], [0.5, 0.5]]), np.zeros(3, int)
    with pytest.raises(ValueError, match=r"give at most 0\.6666, or another"):
        feature_dependent(eta, label, 0.7, 1)
    assert feature_dependent(eta, label, 0.6666, 1)[:, 1].mean() == pytest.approx(0.6666)


@pytest.mark.parametrize("kind", [0, 4, "1"])
def test_unknown_kind_is_refused(kind):
    with pytest.raises(ValueError, match=f"kind {kind} is unknown: give 1, 2 or 3"):
        feature_dependent(np.full((2, 2), 0.5), np.array([0, 1]), 0.3, kind)


@pytest.mark.parametrize(
    ("eta", "fault"),
    [
        ([[0.5, 0.5], [0.5, 0.6]], "clean posterior: row 1, counted from 0, sums to 1.1"),
        ([[1.5, -0.5], [0.5, 0.5]], "clean posterior: row 0, counted from 0, has an impossible"),
        ([[0.5, 0.5]], r"shape \(1, 2\) do not go with labels of shape \(2,\)"),
        ([[0.5, np.nan], [0.5, 0.5]], "not finite"),
    ],
)
def test_what_is_no_posterior_is_refused(eta, fault):
    with pytest.raises(ValueError, match=fault):
        feature_dependent(np.array(eta), np.array([0, 1]), 0.3, 1)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
    return pixel_features(np.repeat(grey[:, None], 3, axis=1)), data.target.astype(np.int64)


def test_posterior_of_the_digits(digits):
    features, label = digits
    eta = estimate_posterior(features, label, 10, 0)
    assert_rows(eta)
    assert np.mean(eta.argmax(axis=1) == label) > 0.99
    np.testing.assert_array_equal(estimate_posterior(features, label, 10, 0), eta)


def test_posterior_is_the_penalised_optimum():
    features, label = examples(90, 3, 3, seed=8)
    features[:, 0] += label
    centred = features - features.mean(axis=0, dtype=np.float64)
    # Any whitening will do: the penalty does not feel a rotation.
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred.T))).T

    def score(parameters):
        weight, bias = parameters[:9].reshape(3, 3), parameters[9:]
        return white @ weight + bias

    def loss(parameters):
        chosen = special.log_softmax(score(parameters), axis=1)[np.arange(90), label]
        return -chosen.sum() + (parameters[:9] ** 2).sum() / 2

    found = optimize.minimize(loss, np.zeros(12), tol=1e-9)
    expected = special.softmax(score(found.x), axis=1)
    # the oracle's optimiser stops at a gradient of 1e-9; 1e-7 is reached
    np.testing.assert_allclose(estimate_posterior(features, label, 3, 0), expected, atol=1e-6)


def test_posterior_does_not_depend_on_the_scale_or_the_order():
    features, label = examples(200, 4, 3, seed=9)
    features[:, 1] += 2 * label
    eta = estimate_posterior(features, label, 3, 0)
    order = np.random.default_rng(0).permutation(200)
    # features are float32, which rounds 1000 x + 7 anew; 5e-8 is reached
    np.testing.assert_allclose(estimate_posterior(1000 * features + 7, label, 3, 0), eta, atol=1e-6)
    np.testing.assert_allclose(
        estimate_posterior(features[order], label[order], 3, 5), eta[order], atol=1e-7
    )


def test_posterior_does_not_feel_a_repeated_feature():
    features, label = examples(60, 4, 3, seed=2)
    repeated = np.concatenate([features, features, 2 * features], axis=1)
    expected = estimate_posterior(features * np.sqrt(np.float32(6)), label, 3, 0)
    # as does the square root of 6; 1.2e-8 is reached
    np.testing.assert_allclose(estimate_posterior(repeated, label, 3, 0), expected, atol=1e-7)


def test_posterior_gives_an_absent_class_nothing():
    features, label = examples(60, 4, 2, seed=1)
    eta = estimate_posterior(features, 2 * label + 1, 5, 0)
    assert_rows(eta)
    assert not eta[:, [0, 2, 4]].any()
    np.testing.assert_array_equal(eta[:, [1, 3]], estimate_posterior(features, label, 2, 0))


def test_components_of_some_rows_serve_all(monkeypatch, digits):
    features, label = digits
    monkeypatch.setattr(feature_noise, "COMPONENT_ROWS", 500)
    monkeypatch.setattr(feature_noise, "CHUNK", 700)
    monkeypatch.setattr(feature_noise, "COMPONENTS", 20)
    eta, again, other = (estimate_posterior(features, label, 10, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(eta, again)
    assert np.abs(eta - other).max() > 1e-3
    for one in (eta, other):
        assert 0.9 < np.mean(one.argmax(axis=1) == label) < 0.99


def test_a_classifier_that_cannot_be_fitted_is_refused():
    features, label = examples(20, 3, 2)
    with pytest.raises(ValueError, match="noise_model: no classifier"):
        estimate_posterior(features, np.zeros(20, np.int64), 2, 0)
    with pytest.raises(ValueError, match="noise_model: no classifier"):
        estimate_posterior(np.ones((20, 3), np.float32), label, 2, 0)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_a_fit_that_does_not_converge_is_refused(monkeypatch):
    features, label = examples(50, 3, 2)
    monkeypatch.setattr(feature_noise, "MAX_ITERATIONS", 1)
    with pytest.raises(ValueError, match=r"noise_model: .* did not converge"):
        estimate_posterior(features, label, 2, 0)
