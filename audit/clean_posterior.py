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

from audit.confidence import believed

# Bounds of τ: a network that is right on the whole probe would fit 0, one that guesses infinity.
TEMPERATURES = (0.2, 5.0)

_SHARES = np.linspace(0, 1, 6)
# Trusted examples used at most, evenly spaced; with 1,000 classes each costs a million products.
_MOST = 3_000
_NEAR = 0.002  # tolerance of log τ
_LEAST = 0.01


class CleanPosterior:
    """Maps levelled logits (B, C) to π, probabilities (B, C).

    Args:
        temperature: τ; logits are divided by it.
        share: β, in [0, 1].
        of_class: T, (C, C), on the logits' device; not needed if the share is 0.
    """

    def __init__(
        self, temperature: float = 1.0, share: float = 0.0, of_class: Tensor | None = None
    ) -> None:
        self.temperature, self.share = temperature, share
        self._undo: Tensor | None = None
        if of_class is not None and share:
            mistakes = believed(of_class.cpu().double().numpy(), share)
            # pseudo-inverse: T is singular where two classes have the same distribution of labels
            self._undo = torch.from_numpy(np.linalg.pinv(mistakes)).to(of_class)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return π."""
        foretold = (logits / self.temperature).softmax(dim=1)
        if self._undo is None:
            return foretold
        undone = torch.maximum(foretold @ self._undo, _LEAST * foretold)
        return undone / undone.sum(dim=1, keepdim=True)


def fit(logits: Tensor, label: Tensor, of_class: Tensor) -> CleanPosterior:
    """Return the posterior whose temperature and share make the trusted labels likeliest.

    Args:
        logits: levelled logits of trusted examples that the network was not trained on, (M, C);
            at most 3,000 are used.
        label: their labels, (M,), at least one.
        of_class: T, (C, C).
    """
    some = torch.linspace(0, len(label) - 1, min(len(label), _MOST)).long()
    # float64, because a network may be 1 − 1e-8 sure of a label
    doubles, label = logits.cpu()[some].double(), label.cpu()[some]

    def surprise(made: CleanPosterior) -> float:
        of_label = made(doubles).gather(1, label[:, None])
        return -float(of_label.clamp(min=1e-12).log().sum())

    def tempered(share: float) -> tuple[float, CleanPosterior]:
        undone = CleanPosterior(1.0, share, of_class.cpu().double())

        def at(log_temperature: float) -> float:
            undone.temperature = float(np.exp(log_temperature))
            return surprise(undone)

        found = minimize_scalar(
            at, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": _NEAR}
        )
        undone.temperature = float(np.exp(found.x))
        return float(found.fun), undone

    (plain, without), *others = (tempered(float(share)) for share in _SHARES)
    least, best = min(others, key=lambda one: one[0])
    chosen = best if plain - least > 1 else without
    return CleanPosterior(chosen.temperature, chosen.share, of_class)
