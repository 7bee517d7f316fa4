"""Mixup (Zhang et al. 2018) of trusted and noisy examples: the L_β of IEG."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from datamodules.batch import Views
from lightning_modules.losses import cross_entropy, unit_rms


class MixupDraws(NamedTuple):
    """The random draws of one mixed batch of 3B rows: B trusted, B weak, B strong."""

    probe_row: Tensor  # (B,) int64: rows of the probe batch, drawn with replacement
    uniform: Tensor  # (3B,) in [0, 1)
    partner: Tensor  # (3B,) int64: a permutation of the rows


class MixedBatch(NamedTuple):
    """A mixed batch."""

    image: Tensor  # (3B, 3, H, W)
    label: Tensor  # (3B, C), rows sum to 1


def draw_mixup(generator: torch.Generator, batch_size: int, probe_size: int) -> MixupDraws:
    """Return the random draws of one mixed batch, on the CPU."""
    rows = 3 * batch_size
    return MixupDraws(
        probe_row=torch.randint(probe_size, (batch_size,), generator=generator),
        uniform=torch.rand(rows, dtype=torch.float32, generator=generator),
        partner=torch.randperm(rows, generator=generator),
    )


def released_share(uniform: Tensor) -> Tensor:
    """Return each row's share of itself, λ = max(u²/2, 1 − u²/2) = 1 − u²/2, in [½, 1].

    The released code uses it in place of the paper's Beta(½, ½), folded to [½, 1]. It is another
    distribution, but its mean, 5/6, is close to the folded Beta's, 0.818.
    """
    return 1 - uniform.square() / 2


def folded_beta_share(uniform: Tensor) -> Tensor:
    """Return max(λ, 1 − λ), λ the u-quantile sin²(πu/2) of the paper's Beta(½, ½), in [½, 1]."""
    quantile = torch.sin(uniform * (math.pi / 2)).square()
    return torch.maximum(quantile, 1 - quantile)


def unmixed_share(uniform: Tensor) -> Tensor:
    """Return 1 for each row: nothing is mixed."""
    return torch.ones_like(uniform)


ShareFn = Callable[[Tensor], Tensor]

SHARE_FNS: dict[str, ShareFn] = {
    "released": released_share,
    "beta": folded_beta_share,
    "none": unmixed_share,
}


def mix(
    train: Views,
    pseudo_label: Tensor,
    probe: Views,
    draws: MixupDraws,
    share_fn: ShareFn = released_share,
) -> MixedBatch:
    """Mix each trusted, weak and strong row with a partner from any of the 3B rows.

    A row keeps at least half of itself, so the first B rows stay mostly trusted.

    Args:
        train: both views, B examples.
        pseudo_label: `(B, C)`, the labels of both views.
        probe: trusted examples, weak view, any number of them.
        draws: from `draw_mixup` for the same B, on the images' device.
        share_fn: maps a row's uniform draw to its share of itself; one of `SHARE_FNS`.
    """
    probe_row, uniform, partner = draws
    assert train.strong is not None
    num_classes = pseudo_label.shape[1]
    trusted_label = one_hot(probe.label[probe_row], num_classes).to(pseudo_label.dtype)
    image = torch.cat([probe.weak[probe_row], train.weak, train.strong])
    label = torch.cat([trusted_label, pseudo_label, pseudo_label])
    share = share_fn(uniform.to(image.dtype))
    return MixedBatch(
        image=_blend(image, partner, share[:, None, None, None]),
        label=_blend(label, partner, share[:, None].to(label.dtype)),
    )


def _blend(rows: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    return share * rows + (1 - share) * rows[partner]


def mixup_losses(logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean cross-entropy of the trusted rows and of the other two thirds.

    Each third of the logits is divided by its own root mean square (released code).

    Args:
        logits: `(3B, C)`.
        label: `(3B, C)`, held constant.
    """
    normalised = torch.cat([unit_rms(third) for third in logits.chunk(3)])
    losses = cross_entropy(label.detach(), normalised)
    num_trusted = len(losses) // 3
    return losses[:num_trusted].mean(), losses[num_trusted:].mean()
