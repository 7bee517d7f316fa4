"""What a method returns for one step: its loss, and what it believes about each label."""

from typing import NamedTuple

from torch import Tensor


class Objective(NamedTuple):
    """One step's loss and, for the callbacks, the beliefs behind it.

    B is the number of examples on this rank, C the number of classes. Only `loss` has a gradient.
    """

    loss: Tensor  # scalar, this rank's loss; training minimises the mean over ranks
    terms: dict[str, Tensor]  # scalars by the names they are logged under
    logits: Tensor  # (B, C) of the weak view
    example_weight: Tensor | None = None  # (B,) low: label distrusted
    label_mix: Tensor | None = None  # (B,) 1 keeps the given label, 0 takes the pseudo-label
    pseudo_label: Tensor | None = None  # (B, C) rows sum to 1
    num_deciding_ranks: int = 1  # over so many ranks example weights sum to at most 1

    @property
    def relative_weight(self) -> Tensor | None:
        """Example weights, `(B,)`, in units of the average: equal weights would all be 1."""
        weight = self.example_weight
        return None if weight is None else weight * (len(weight) * self.num_deciding_ranks)

    @property
    def scalars(self) -> dict[str, Tensor]:
        """The loss and its terms, by the names they are logged under."""
        return {"train/loss": self.loss, **self.terms}
