"""What a network says of the true class, where it has learnt to foretell the label.

A network says q. How far that is of the true class, and how far of the label that one would find,
shows on trusted labels that it did not learn. Two numbers are fitted to them:

* a temperature τ, for a network that is less or more sure than right (Guo et al. 2017);
* a share β of the mistakes, which q foretells: a network trained on cats of which four in ten are
  called dogs says of a cat that it is a dog, 0.4. With π the true class's probabilities, then
  q = π ((1 − β) I + β T), T[k, j] the share of class k that is given label j; so it is undone,

      π ∝ max(q ((1 − β) I + β T)⁻¹, q / 100)

  as losses are corrected, the other way round (Patrini et al. 2017; with trusted labels, Hendrycks
  et al. 2018).

T is counted by the classes that the network suggests, its own mistakes among them. Of these nothing
is to be undone, and trusted labels tell: β is 0 unless they are more than e times as likely with
another (the criterion of Akaike for one number more).
"""

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from audit.confidence import believed

# A probe that is all right asks for a temperature of 0, one that is guessed for infinity.
TEMPERATURES = (0.2, 5.0)

_SHARES = np.linspace(0, 1, 6)
# Trusted examples that are looked at, drawn evenly; of 1,000 classes each costs a million products.
_MOST = 3_000
_NEAR = 0.002  # of the temperature's logarithm
_LEAST = 0.01


class CleanPosterior:
    """π of levelled logits (B, C): probabilities (B, C).

    Args:
        temperature: τ; logits are divided by it.
        share: β, in [0, 1].
        of_class: T, (C, C), where the logits will be; not needed where the share is 0.
    """

    def __init__(
        self, temperature: float = 1.0, share: float = 0.0, of_class: Tensor | None = None
    ) -> None:
        self.temperature, self.share = temperature, share
        self._undo: Tensor | None = None
        if of_class is not None and share:
            mistakes = believed(of_class.cpu().double().numpy(), share)
            # the pseudo-inverse: T is singular where two classes are given the same labels
            self._undo = torch.from_numpy(np.linalg.pinv(mistakes)).to(of_class)

    def __call__(self, logits: Tensor) -> Tensor:
        """Return π."""
        foretold = (logits / self.temperature).softmax(dim=1)
        if self._undo is None:
            return foretold
        undone = torch.maximum(foretold @ self._undo, _LEAST * foretold)
        return undone / undone.sum(dim=1, keepdim=True)


def fit(logits: Tensor, label: Tensor, of_class: Tensor) -> CleanPosterior:
    """Return the temperature and the share that make trusted labels likeliest.

    Args:
        logits: what the network says of trusted examples that it did not learn, levelled, (M, C);
            of many, 3,000 decide.
        label: theirs, (M,), at least one.
        of_class: T, (C, C).
    """
    some = torch.linspace(0, len(label) - 1, min(len(label), _MOST)).long()
    # in float64: a network that is sure of its labels is 1 − 1e-8 sure
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
