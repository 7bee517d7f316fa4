import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from audit.clean_posterior import TEMPERATURE_BOUNDS, CleanPosterior, fit_clean_posterior
from audit.confidence import bayes_terms, label_posterior
from datamodules.noise import corrupt
from tests.audit.test_confidence import posterior, sample_classes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Class 0 is never mistaken, 1 and 2 for one another, 3 for 4 but not the other way round.
FLIPS = np.eye(5)
FLIPS[1:3, 1:3] = [[0.65, 0.35], [0.3, 0.7]]
FLIPS[3, 3:] = [0.6, 0.4]


def softmax(z: Floats) -> Floats:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def known_network(
    size: int, share: float, temperature: float, seed: int = 0
) -> tuple[Floats, Ints, Floats]:
    """Return logits that foretell a share of the flips, true classes, and π they are drawn from."""
    rng = np.random.default_rng(seed)
    pi = softmax(rng.normal(size=(size, 5)) * 4)
    foretold = pi @ ((1 - share) * np.eye(5) + share * FLIPS)
    return np.log(foretold) * temperature, sample_classes(pi, rng), pi


def fit_arrays(logits: Floats, label: Ints, transition_matrix: Floats = FLIPS) -> CleanPosterior:
    return fit_clean_posterior(*map(torch.from_numpy, (logits, label, transition_matrix)))


def test_by_hand() -> None:
    transition_matrix = torch.tensor([[0.6, 0.4], [0.1, 0.9]], dtype=torch.float64)
    unmix = CleanPosterior(1.0, 1.0, transition_matrix)
    # a picture that is half and half of each: 0.5 (0.6, 0.4) + 0.5 (0.1, 0.9)
    halves = unmix(torch.tensor([[0.35, 0.65]], dtype=torch.float64).log())
    assert halves[0].tolist() == pytest.approx([0.5, 0.5])
    # beyond what T can explain: all of class 0, and a hundredth of what was said of class 1
    beyond = unmix(torch.tensor([[0.7, 0.3]], dtype=torch.float64).log())
    first = 0.7 * 1.8 - 0.3 * 0.2  # q T⁻¹, T⁻¹ = [[1.8, −0.8], [−0.2, 1.2]]
    assert beyond[0].tolist() == pytest.approx([first / (first + 0.003), 0.003 / (first + 0.003)])


def test_alone_it_is_the_softmax_at_its_temperature() -> None:
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(CleanPosterior()(logits), logits.softmax(dim=1))
    torch.testing.assert_close(CleanPosterior(2.0)(logits), (logits / 2).softmax(dim=1))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_what_a_known_network_foretells_is_found_and_undone(
    temperature: float, share: float
) -> None:
    logits, label, pi = known_network(20_000, share, temperature)
    fitted = fit_arrays(logits, label)
    # 3,000 labels say it to 2 or 3 %; the share is one of six
    assert fitted.temperature == pytest.approx(temperature, rel=0.05)
    assert fitted.share == pytest.approx(share, abs=0.01)
    undone = fitted(torch.from_numpy(logits)).numpy()
    assert np.abs(undone - pi).mean() < 0.01


def test_a_hundred_trusted_labels_undo_nothing_where_there_is_nothing_to_undo() -> None:
    wrong = [fit_arrays(*known_network(100, 0.0, 1.0, seed)[:2]).share for seed in range(40)]
    assert np.mean(np.array(wrong) > 0) <= 0.2
    right = [fit_arrays(*known_network(100, 1.0, 1.0, seed)[:2]).share for seed in range(40)]
    assert np.mean(np.array(right) > 0) >= 0.9


def test_a_network_that_foretells_the_labels_is_judged_as_often_right_as_it_says() -> None:
    logits, true, pi = known_network(20_000, 1.0, 1.0)
    given = corrupt(true, FLIPS, np.random.default_rng(1))
    wrong = given != true

    def judge(clean: CleanPosterior) -> tuple[Floats, float]:
        terms = bayes_terms(clean(torch.from_numpy(logits)), *map(torch.from_numpy, (given, FLIPS)))
        confidence, right, _ = label_posterior(terms, torch.from_numpy(given), FLIPS)
        return right.double().numpy(), float(confidence.double().mean())

    right, _ = judge(fit_arrays(logits[:1_000], true[:1_000]))
    oracle = posterior(pi, given, FLIPS)[np.arange(len(given)), given]
    assert np.abs(right - oracle).mean() < 0.02
    assert right.mean() == pytest.approx(1 - wrong.mean(), abs=0.02)
    # taken as it stands, the same network explains every wrong label by itself
    assert (judge(CleanPosterior())[0] < 0.5).mean() < 0.2 * (oracle < 0.5).mean()


def test_classes_that_are_given_the_same_labels_are_no_obstacle() -> None:
    logits, label, _ = known_network(200, 0.0, 1.0)
    fitted = fit_arrays(logits, label, np.full((5, 5), 0.2))
    assert fitted.share < 1
    everything = CleanPosterior(1.0, 1.0, torch.full((5, 5), 0.2, dtype=torch.float64))
    undone = everything(torch.from_numpy(logits))
    torch.testing.assert_close(undone.sum(dim=1), torch.ones(200, dtype=torch.float64))


def test_a_probe_known_by_heart_asks_for_the_lowest_temperature_there_is() -> None:
    fitted = fit_clean_posterior(4 * torch.eye(3), torch.arange(3), torch.full((3, 3), 1 / 3))
    assert fitted.temperature == pytest.approx(TEMPERATURE_BOUNDS[0], rel=0.01)
