"""Per-example losses and pseudo-labels of IEG, as pure functions of logits.

Notation, here and in the methods: B examples, C classes, z weak-view logits, ẑ strong-view logits,
y given labels, G pseudo-labels, N(·) logits divided by their root mean square.
Source: Zhang et al., CVPR 2020 ("IEG"); where the released code differs from the paper, the code.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Return −Σ_c target_c · log softmax(logits)_c of each example.

    Args:
        target: `(B, C)` distributions over classes; gradients flow through them.
        logits: `(B, C)`.

    Returns:
        `(B,)`.
    """
    return -(target * F.log_softmax(logits, dim=1)).sum(dim=1)


def unit_rms(logits: Tensor) -> Tensor:
    """Return N(v) = v / √(mean(v²) + 1e-8), the mean taken over *all* B·C entries.

    One scalar for the whole tensor, not one per row, so the result depends on the batch. In the
    released code only. It caps the confidence of a softmax: at 0.757 for 10 classes if all rows are
    alike.
    """
    return logits / torch.sqrt(logits.square().mean() + 1e-8)


def sharpen(probability: Tensor, temperature: float) -> Tensor:
    """Return the rows of `(B, C)` to the power 1/temperature, scaled to sum 1 (MixMatch, Eq. 7)."""
    powers = probability ** (1.0 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


def guess_labels(weak: Tensor, strong: Tensor, temperature: float) -> Tensor:
    """Return the pseudo-labels G: both views' predictions averaged, then sharpened.

    Differentiable in both logits: the released code differentiates it in the look-ahead step.

    Args:
        weak: z, `(B, C)`.
        strong: ẑ, `(B, C)`.
        temperature: in (0, 1]; the paper's is 0.5.

    Returns:
        `(B, C)`, rows sum to 1.
    """
    mean_probability = (unit_rms(weak).softmax(dim=1) + unit_rms(strong).softmax(dim=1)) / 2
    return sharpen(mean_probability, temperature)


def consistency(weak: Tensor, strong: Tensor) -> Tensor:
    """Return KL(softmax(z) ‖ softmax(ẑ)) of each example; gradients flow to ẑ only.

    Args:
        weak: z, `(B, C)`: the target, held constant.
        strong: ẑ, `(B, C)`.

    Returns:
        `(B,)`.
    """
    log_target = F.log_softmax(weak.detach(), dim=1)
    log_prediction = F.log_softmax(strong, dim=1)
    return F.kl_div(log_prediction, log_target, reduction="none", log_target=True).sum(dim=1)


def l2_penalty(weights: Iterable[Tensor], weight_decay: float) -> Tensor:
    """Return weight_decay · ½ Σ w², the weight decay written as a loss."""
    return 0.5 * weight_decay * torch.stack([weight.square().sum() for weight in weights]).sum()
