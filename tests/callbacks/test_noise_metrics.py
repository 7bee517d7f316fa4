import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from audit.detection import auroc, average_precision
from callbacks.noise_metrics import (
    accuracy_metrics,
    belief_metrics,
    class_counts,
    detection_metrics,
    group_sums,
    label_groups,
    suspicion_pairs,
)
from datamodules.batch import KNOWN_WRONG, UNKNOWN

# the given label is right, wrong, right, wrong, unknown
LABEL = torch.tensor([0, 1, 2, 0, 1])
CLEAN = torch.tensor([0, 2, 2, 1, -1])


def means(grouped):
    inside, size = group_sums(grouped.values())
    return dict(zip(grouped, (inside / size).tolist(), strict=True))


def test_groups_leave_out_unknown_labels():
    clean, wrong = label_groups(LABEL, CLEAN)
    assert clean.tolist() == [True, False, True, False, False]
    assert wrong.tolist() == [False, True, False, True, False]


def test_known_errors_of_unknown_class_are_wrong_and_nothing_else():
    label, clean = torch.tensor([0, 1, 2]), torch.tensor([KNOWN_WRONG, 1, UNKNOWN])
    right, wrong = label_groups(label, clean)
    assert (right.tolist(), wrong.tolist()) == ([False, True, False], [True, False, False])
    logits = torch.nn.functional.one_hot(torch.tensor([0, 0, 0]), 3).float()
    _, known = accuracy_metrics(logits, label, clean)["train/acc_clean"]
    assert known.tolist() == [False, True, False]
    grouped = belief_metrics(label, clean, torch.tensor([0.5, 2.0, 9.0]), label.float(), logits)
    assert grouped["weight/wrong_mean"][1].tolist() == [True, False, False]
    assert grouped["label_mix/wrong"][1].tolist() == [True, False, False]
    # whether a guess is right is not known of them
    assert not grouped["pseudo/acc_wrong"][1].any()
    assert auroc(suspicion_pairs(label, clean, torch.tensor([0.5, 2.0, 9.0]))) == 1.0


def test_accuracies_by_hand():
    predicted = torch.tensor([0, 2, 1, 0, 1])
    logits = torch.nn.functional.one_hot(predicted, 3).float()
    assert means(accuracy_metrics(logits, LABEL, CLEAN)) == pytest.approx(
        {"train/acc": 3 / 5, "train/acc_clean": 2 / 4}
    )


def test_detections_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    label, clean, predicted = torch.randint(3, (3, 400), generator=generator)
    unknown = torch.rand(400, generator=generator) < 0.3
    wrong, disagrees = (label != clean)[~unknown], (label != predicted)[~unknown]
    logits = torch.nn.functional.one_hot(predicted, 3).float()
    found = means(detection_metrics(logits, label, clean.masked_fill(unknown, UNKNOWN)))
    assert found["noise/precision"] == pytest.approx(precision_score(wrong, disagrees))
    assert found["noise/recall"] == pytest.approx(recall_score(wrong, disagrees))


def test_what_the_network_makes_of_wrong_labels_by_hand():
    label = torch.tensor([0, 0, 0, 0, 0, 0, 0])
    clean = torch.tensor([1, 1, 1, KNOWN_WRONG, KNOWN_WRONG, 0, UNKNOWN])
    predicted = torch.tensor([0, 1, 2, 0, 1, 1, 1])
    logits = torch.nn.functional.one_hot(predicted, 3).float()
    assert means(detection_metrics(logits, label, clean)) == pytest.approx(
        {
            "noise/precision": 3 / 4,  # of a label of unknown truth, nobody knows
            "noise/recall": 3 / 5,
            "noise/memorised": 2 / 5,
            "noise/corrected": 1 / 3,  # of those whose class is known
        }
    )


def test_beliefs_by_hand():
    pseudo = torch.nn.functional.one_hot(torch.tensor([0, 2, 0, 0, 1]), 3).float()
    grouped = belief_metrics(
        LABEL,
        CLEAN,
        example_weight=torch.tensor([2.0, 0.0, 1.0, 0.5, 0.0]),
        label_mix=torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0]),
        pseudo_label=pseudo,
    )
    assert means(grouped) == pytest.approx(
        {
            "weight/zero_share": 2 / 5,
            "weight/clean_mean": 1.5,
            "weight/wrong_mean": 0.25,
            "label_mix/clean": 1.0,
            "label_mix/wrong": 0.5,
            "pseudo/acc_clean": 0.5,
            "pseudo/acc_wrong": 0.5,
        }
    )


def test_beliefs_a_method_lacks_are_left_out():
    assert belief_metrics(LABEL, CLEAN, None, None, None) == {}


def test_a_value_outside_the_group_does_not_leak():
    weight = torch.tensor([1.0, torch.inf, 3.0, torch.nan, torch.nan])
    grouped = belief_metrics(LABEL, CLEAN, weight, None, None)
    assert means(grouped)["weight/clean_mean"] == 2.0


def test_class_counts():
    pseudo = torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.0, 0.9], [0.5, 0.3, 0.2]])
    assert class_counts(pseudo).tolist() == [2.0, 0.0, 1.0]


@pytest.mark.parametrize("scale", [1.0, 1e-20], ids=["plain", "tiny weights"])
def test_ranking_is_that_of_scikit_learn(scale):
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(4, (500,), generator=generator)
    clean = torch.randint(-1, 4, (500,), generator=generator)
    # half of the weights are zero: ties
    weight = torch.randn(500, generator=generator).clamp(min=0) * scale
    weight = torch.where(label == clean, weight * 2, weight)
    known = clean >= 0
    wrong, trust = (label != clean)[known], weight[known]
    pairs = suspicion_pairs(label, clean, weight)
    area, precision = roc_auc_score(wrong, -trust), average_precision_score(wrong, -trust)
    assert auroc(pairs) == pytest.approx(area, abs=1e-6)
    assert average_precision(pairs) == pytest.approx(precision, abs=1e-6)
    assert 0.51 < area < 0.99
    assert wrong.float().mean() + 0.01 < precision < 0.99


def test_ranking_by_perfect_beliefs():
    weight = (LABEL == CLEAN).float()
    assert auroc(suspicion_pairs(LABEL, CLEAN, weight)) == 1.0
    assert auroc(suspicion_pairs(LABEL, CLEAN, 1 - weight)) == 0.0
    assert average_precision(suspicion_pairs(LABEL, CLEAN, weight)) == 1.0
    # two wrong ones behind two right ones: found at the third place and the fourth, together
    assert average_precision(suspicion_pairs(LABEL, CLEAN, 1 - weight)) == 0.5


@pytest.mark.parametrize("clean", [LABEL, (LABEL + 1) % 3, torch.full((5,), -1)])
def test_no_ranking_without_both_groups(clean):
    pairs = suspicion_pairs(LABEL, clean, torch.rand(5))
    assert auroc(pairs) is None
    assert average_precision(pairs) is None
