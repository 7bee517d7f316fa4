from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from audit import final_predictions
from audit.final_predictions import (
    collect_bayes_terms,
    logits_of,
    predict_labels,
)
from datamodules.batch import Batch
from datamodules.noise import corrupt
from tests.audit.test_clean_posterior import FLIPS, known_network


def batches(logits: torch.Tensor, label: torch.Tensor, size: int) -> list[Batch]:
    """Return batches whose images are their own logits."""
    index = torch.arange(len(label)) * 3
    parts = (part.split(size) for part in (logits, label, label, index))
    return [Batch(*one) for one in zip(*parts, strict=True)]


def test_bayes_terms_by_hand() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]])
    label = torch.tensor([0, 2, 1])
    transition_matrix = torch.tensor([[0.8, 0.1, 0.1], [0.0, 0.9, 0.1], [0.2, 0.2, 0.6]])
    index, given, terms = collect_bayes_terms(
        batches(p, label, 2), lambda batch: batch.image, transition_matrix
    )
    assert index.tolist() == [0, 3, 6]
    assert given.tolist() == [0, 2, 1]
    assert terms.suggested.tolist() == [0, 1, 2]
    assert terms.p_suggested.tolist() == pytest.approx([0.7, 0.6, 0.5])
    assert terms.p_given.tolist() == pytest.approx([0.7, 0.3, 0.3])
    expected = [
        0.7 * 0.8 + 0.2 * 0.0 + 0.1 * 0.2,
        0.1 * 0.1 + 0.6 * 0.1 + 0.3 * 0.6,
        0.2 * 0.1 + 0.3 * 0.9 + 0.5 * 0.2,
    ]
    assert terms.label_likelihood.tolist() == pytest.approx(expected)


def test_logits_are_those_of_all_batches_in_order() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([2, 0, 1, 1, 2])
    all_logits, labels = logits_of(batches(logits, label, 2), lambda batch: batch.image)
    assert torch.equal(all_logits, logits)
    assert torch.equal(labels, label)


@pytest.mark.parametrize("learns_probe", [False, True])
def test_what_a_network_foretells_is_undone_where_it_did_not_learn_the_probe(
    learns_probe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, true, _ = known_network(6_000, 1.0, 1.0)
    given = corrupt(true, FLIPS, np.random.default_rng(1))
    noisy, trusted = (
        batches(torch.from_numpy(logits[part]).float(), torch.from_numpy(label[part]), 1_000)
        for part, label in ((slice(5_000), given), (slice(5_000, None), true))
    )
    monkeypatch.setattr(final_predictions, "evaluator", lambda *_: lambda batch: batch.image)
    data: Any = SimpleNamespace(
        num_train=5_000,
        num_probe=1_000,
        train_set=noisy,
        probe_set=trusted,
        evaluation_loader=lambda some, shared=True: some,
        unchecked_test_set=list,
    )
    module: Any = SimpleNamespace(learns_probe=learns_probe)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer: Any = SimpleNamespace(strategy=strategy, is_global_zero=False)
    predictions, tested = predict_labels(module, data, trainer, torch.ones(5), FLIPS)
    assert tested is None
    wrong = float((given != true)[:5_000].mean())
    doubted = float((predictions.p_right < 0.5).double().mean())
    if learns_probe:  # taken as it stands, the network explains the wrong labels by itself
        assert doubted < 0.2 * wrong
    else:
        # not the same: doubted are the labels more likely wrong than right, and none is certain
        assert doubted == pytest.approx(wrong, rel=0.2)
