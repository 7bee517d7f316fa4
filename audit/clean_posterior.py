"""The posterior of the true class, from a network that has learnt to predict noisy labels.

How much a prediction is about the true class, and how much about the noisy label, shows on trusted
labels that the network was not trained on. Two numbers are fitted to them:

* a temperature τ, for a network that is over- or underconfident (Guo et al. 2017);
* a share β of the label noise that the network has learnt: trained on cats of which four in ten are
  labelled dogs, it predicts 0.4 dog for any cat. With q the tempered prediction, π the posterior of
  the true class and T[k, j] the share of class k that is given label j, q = π ((1 − β) I + β T).
  This is undone by

      π ∝ max(q ((1 − β) I + β T)⁻¹, q / 100)

  the inverse of loss correction (Patrini et al. 2017; with trusted labels, Hendrycks et al. 2018).

T is counted from the classes that the network suggests, so it includes the network's own mistakes,
which must not be undone. The trusted labels decide: β is 0 unless another value makes them more
than e times as likely (Akaike's criterion for one more number).
"""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from audit.confidence import mix_with_identity

# Bounds of τ: a network that is right on the whole probe would fit 0, one that guesses infinity.
TEMPERATURE_BOUNDS = (0.2, 5.0)

_SHARE_GRID = np.linspace(0, 1, 6)
# Trusted examples used at most, evenly spaced; with 1,000 classes each costs a million products.
_MAX_EXAMPLES = 3_000
_LOG_TEMPERATURE_TOLERANCE = 0.002
_MIN_FRACTION = 0.01


class CleanPosterior:
    """Maps levelled logits (B, C) to π, probabilities (B, C).

    Args:
        temperature: τ; logits are divided by it.
        share: β, in [0, 1].
        transition_matrix: T, (C, C), on the logits' device; not needed if the share is 0.
    """

    def __init__(
        self, temperature: float = 1.0, share: float = 0.0, transition_matrix: Tensor | None = None
    ) -> None:
        self.temperature, self.share = temperature, share
        self._inverse_mixing: Tensor | None = None
        if transition_matrix is not None and share:
            mixing = mix_with_identity(transition_matrix.cpu().double().numpy(), share)
            # pseudo-inverse: T is singular where two classes have the same distribution of labels
            self._inverse_mixing = torch.from_numpy(np.linalg.pinv(mixing)).to(transition_matrix)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return π."""
        tempered = (logits / self.temperature).softmax(dim=1)
        if self._inverse_mixing is None:
            return tempered
        unmixed = torch.maximum(tempered @ self._inverse_mixing, _MIN_FRACTION * tempered)
        return unmixed / unmixed.sum(dim=1, keepdim=True)


def fit_clean_posterior(logits: Tensor, label: Tensor, transition_matrix: Tensor) -> CleanPosterior:
    """Return the posterior whose temperature and share make the trusted labels likeliest.

    Args:
        logits: levelled logits of trusted examples that the network was not trained on, (M, C);
            at most 3,000 are used.
        label: their labels, (M,), at least one.
        transition_matrix: T, (C, C).
    """
    rows = torch.linspace(0, len(label) - 1, min(len(label), _MAX_EXAMPLES)).long()
    # float64, because a network may be 1 − 1e-8 sure of a label
    logits64, label = logits.cpu()[rows].double(), label.cpu()[rows]

    def negative_log_likelihood(posterior: CleanPosterior) -> float:
        p_label = posterior(logits64).gather(1, label[:, None])
        return -float(p_label.clamp(min=1e-12).log().sum())

    def fit_temperature(share: float) -> tuple[float, CleanPosterior]:
        posterior = CleanPosterior(1.0, share, transition_matrix.cpu().double())

        def loss_at(log_temperature: float) -> float:
            posterior.temperature = float(np.exp(log_temperature))
            return negative_log_likelihood(posterior)

        optimum = minimize_scalar(
            loss_at,
            bounds=np.log(TEMPERATURE_BOUNDS),
            method="bounded",
            options={"xatol": _LOG_TEMPERATURE_TOLERANCE},
        )
        posterior.temperature = float(np.exp(optimum.x))
        return float(optimum.fun), posterior

    (loss_at_zero, at_zero), *others = (fit_temperature(float(share)) for share in _SHARE_GRID)
    lowest_loss, best = min(others, key=lambda fitted: fitted[0])
    chosen = best if loss_at_zero - lowest_loss > 1 else at_zero
    return CleanPosterior(chosen.temperature, chosen.share, transition_matrix)
