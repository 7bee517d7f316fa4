"""How well a method's beliefs about labels tell right labels from wrong ones.

Pure functions on tensors; none waits for the device. B is the number of examples, C the number of
classes. A quantity to be averaged is a pair: values `(B,)`, and the group of examples to average
over, `(B,)` bool.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from datamodules.batch import UNKNOWN

GroupedValues = tuple[Tensor, Tensor]


def label_groups(label: Tensor, clean_label: Tensor) -> tuple[Tensor, Tensor]:
    """Return which given labels are right and which are wrong, `(B,)` bool each.

    Args:
        label: given labels, `(B,)`, int64 in [0, C).
        clean_label: true labels, `(B,)`; those that are `UNKNOWN` are in neither group.
    """
    known = clean_label != UNKNOWN
    is_right = label == clean_label
    return known & is_right, known & ~is_right


def accuracy_metrics(
    logits: Tensor, label: Tensor, clean_label: Tensor
) -> dict[str, GroupedValues]:
    """Return what is classified correctly, by given labels and, where known, by clean labels."""
    predicted = logits.argmax(dim=1)
    known = clean_label >= 0
    return {
        "train/acc": (predicted == label, torch.ones_like(known)),
        "train/acc_clean": (predicted == clean_label, known),
    }


def detection_metrics(
    logits: Tensor, label: Tensor, clean_label: Tensor
) -> dict[str, GroupedValues]:
    """Return how well the network itself, whatever the method, finds and corrects wrong labels.

    A label is called wrong where the network predicts another class. A wrong label that it does
    predict is memorised, so recall and the memorised share add up to 1.

    Args:
        logits: `(B, C)`.
        label: given labels, `(B,)`.
        clean_label: true labels, `(B,)`, `UNKNOWN`, or `KNOWN_WRONG`.
    """
    predicted = logits.argmax(dim=1)
    clean, wrong = label_groups(label, clean_label)
    disagrees = predicted != label
    return {
        "noise/precision": (wrong, disagrees & (clean | wrong)),
        "noise/recall": (disagrees, wrong),
        "noise/memorised": (~disagrees, wrong),
        "noise/corrected": (predicted == clean_label, wrong & (clean_label >= 0)),
    }


def belief_metrics(
    label: Tensor,
    clean_label: Tensor,
    example_weight: Tensor | None,
    label_mix: Tensor | None,
    pseudo_label: Tensor | None,
) -> dict[str, GroupedValues]:
    """Return a method's beliefs about labels, by group; those that it lacks are left out.

    Args:
        label: given labels, `(B,)`.
        clean_label: true labels, `(B,)`, `UNKNOWN`, or `KNOWN_WRONG`.
        example_weight: `(B,)`, scaled so that an average example has weight 1.
        label_mix: `(B,)`, 1 keeps the given label and 0 takes the pseudo-label.
        pseudo_label: `(B, C)`, rows sum to 1.
    """
    clean, wrong = label_groups(label, clean_label)
    grouped: dict[str, GroupedValues] = {}
    if example_weight is not None:
        grouped["weight/zero_share"] = (example_weight <= 0, torch.ones_like(clean))
        grouped["weight/clean_mean"] = (example_weight, clean)
        grouped["weight/wrong_mean"] = (example_weight, wrong)
    if label_mix is not None:
        grouped["label_mix/clean"] = (label_mix, clean)
        grouped["label_mix/wrong"] = (label_mix, wrong)
    if pseudo_label is not None:
        right = pseudo_label.argmax(dim=1) == clean_label
        grouped["pseudo/acc_clean"] = (right, clean)
        grouped["pseudo/acc_wrong"] = (right, wrong & (clean_label >= 0))
    return grouped


def group_sums(grouped: Iterable[GroupedValues]) -> Tensor:
    """Return each pair's sum of values within its group, and the group's size, `(2, pairs)`.

    Added up over steps and ranks before they are divided, these give the exact mean.
    """
    all_values, all_groups = zip(*grouped, strict=True)
    values, groups = torch.stack(all_values).float(), torch.stack(all_groups)
    # not values * groups: outside its group a value may be infinite
    inside = torch.where(groups, values, 0.0)
    return torch.stack([inside.sum(dim=1), groups.sum(dim=1, dtype=torch.float32)])


def class_counts(pseudo_label: Tensor) -> Tensor:
    """Return how many pseudo-labels have each class as their largest entry, `(C,)` float32."""
    classes = torch.arange(pseudo_label.shape[1], device=pseudo_label.device)
    # not bincount: on a GPU it waits to learn the size of its result
    return (pseudo_label.argmax(dim=1, keepdim=True) == classes).sum(dim=0, dtype=torch.float32)


def suspicion_pairs(label: Tensor, clean_label: Tensor, example_weight: Tensor) -> Tensor:
    """Return pairs (suspicion, is wrong), `(B, 2)`; both are NaN where the clean label is unknown.

    Suspicion is minus the example weight: the less a label weighs, the less it is trusted.
    """
    clean, wrong = label_groups(label, clean_label)
    pairs = torch.stack([-example_weight.float(), wrong.float()], dim=1)
    return pairs.masked_fill(~(clean | wrong)[:, None], torch.nan)
