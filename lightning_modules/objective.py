"""What a method makes of one step: the loss to descend, and what it believes about each label."""

from typing import NamedTuple

from torch import Tensor


class Objective(NamedTuple):
    """One step's loss and, for those who watch, the beliefs behind it.

    B is the number of examples on this rank, C the number of classes. All but `loss` are constants.
    """

    loss: Tensor  # scalar, this rank's share: the mean over ranks is what is descended
    terms: dict[str, Tensor]  # scalars under the names they are logged by
    logits: Tensor  # (B, C) of the weak view
    example_weight: Tensor | None = None  # (B,) low: label distrusted
    label_mix: Tensor | None = None  # (B,) 1 keeps the given label, 0 takes the pseudo-label
    pseudo_label: Tensor | None = None  # (B, C) rows sum to 1
    weighed_ranks: int = 1  # over as many, example weights sum to at most 1

    @property
    def relative_weight(self) -> Tensor | None:
        """Example weights, `(B,)`, of which an average one is 1."""
        weight = self.example_weight
        return None if weight is None else weight * (len(weight) * self.weighed_ranks)

    @property
    def scalars(self) -> dict[str, Tensor]:
        """The loss, and its terms, under the names they are logged by."""
        return {"train/loss": self.loss, **self.terms}
