"""The final predictions, after training: plain images, averaged network, nothing random."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from audit.clean_posterior import CleanPosterior, fit_clean_posterior
from audit.confidence import BayesTerms, bayes_terms, label_posterior
from audit.record import Floats, Integers
from audit.trust import levelled
from datamodules.augment import normalise
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from datamodules.labelled_images import LabelledImages
from lightning_modules.base import NoisyLabelModule
from lightning_modules.cpu_collectives import all_gather_object

Logits = Callable[[Batch], Tensor]
Probability = Callable[[Batch], Tensor]


class FinalPredictions(NamedTuple):
    """What the network predicts for M examples, on the CPU."""

    index: Tensor  # type: ignore[assignment]  # (M,) int64, rows of the examples' list
    suggested: Tensor  # (M,) int64, the likeliest class
    confidence: Tensor  # (M,) float32, probability of that; see `audit.confidence`
    p_right: Tensor  # (M,) float32, probability that the given label is right
    p_right_full_transition: Tensor  # (M,) float32, the same with all of T believed

    def of_rows(self, rows: Integers) -> tuple[Integers, Floats, Floats, Floats]:
        """Return all but the index, (B,) each, for rows (B,) of the examples' list."""
        position = np.empty(int(self.index.max()) + 1, dtype=np.int64)
        position[self.index.numpy()] = np.arange(len(self.index))
        places = position[rows]
        confidence, p_right, p_right_full_transition = (
            part.double().numpy()[places]
            for part in (self.confidence, self.p_right, self.p_right_full_transition)
        )
        return self.suggested.numpy()[places], confidence, p_right, p_right_full_transition


class FinalPass(NamedTuple):
    """The final predictions of a run."""

    noisy: FinalPredictions  # of all noisy examples
    tested: FinalPredictions | None  # of test pictures whose labels nobody checked; None: no such


def predict_labels(
    module: NoisyLabelModule,
    data: NoisyLabelDataModule,
    trainer: pl.Trainer,
    level: Tensor,
    transition_matrix: Floats,
) -> FinalPass:
    """Return what the averaged network predicts for every label in doubt; ranks share the work.

    Predictions are calibrated on the probe set, unless the method trains on its labels. Test labels
    are judged as noisy ones are, but by themselves: s (see `audit.confidence`) is fitted to each.

    Args:
        module: the method.
        data: the data, already read.
        trainer: its device and precision are used.
        level: of each class, (C,), see `audit.trust`.
        transition_matrix: T, (C, C), see `audit.confidence`.
    """
    network = evaluator(module, trainer)

    def logits(batch: Batch) -> Tensor:
        raw = network(batch).float()
        return levelled(raw, level.to(raw.device))

    console = Console(quiet=not trainer.is_global_zero)
    tested = data.unchecked_test_set()
    count = data.num_train + len(tested)
    console.print(f"looking at every label once more, {count:,} in all", highlight=False)
    transition_tensor = torch.from_numpy(transition_matrix).float().to(trainer.strategy.root_device)
    posterior = CleanPosterior()
    if data.num_probe and not module.learns_probe:
        trusted = data.evaluation_loader(data.probe_set, shared=False)
        posterior = fit_clean_posterior(*logits_of(trusted, logits), transition_tensor)

    def predict(examples: LabelledImages) -> FinalPredictions:
        batches: Any = data.evaluation_loader(examples)
        progress = track(
            batches, "", console=console, transient=True, disable=not console.is_terminal
        )
        per_rank = all_gather_object(
            collect_bayes_terms(progress, lambda batch: posterior(logits(batch)), transition_tensor)
        )
        index, given, terms = concatenate(per_rank)
        return FinalPredictions(
            index, terms.suggested, *label_posterior(terms, given, transition_matrix)
        )

    return FinalPass(predict(data.train_set), predict(tested) if len(tested) else None)


def evaluator(module: NoisyLabelModule, trainer: pl.Trainer) -> Logits:
    """Return a function from batches to the averaged network's logits, as in evaluation."""
    net, device = module.averaged.net, trainer.strategy.root_device
    net.to(device).eval()

    def logits(batch: Batch) -> Tensor:
        with trainer.precision_plugin.forward_context():
            return net(normalise(batch.image.to(device, non_blocking=True)))

    return logits


# Rows of the examples' list, given labels, and what Bayes' rule needs of the predictions.
IndexedTerms = tuple[Tensor, Tensor, BayesTerms]


@torch.no_grad()
def logits_of(batches: Iterable[Batch], logits: Logits) -> tuple[Tensor, Tensor]:
    """Return logits (M, C) and labels (M,) of some examples, on the CPU."""
    all_logits, label = zip(*((logits(batch).cpu(), batch.label) for batch in batches), strict=True)
    return torch.cat(all_logits), torch.cat(label)


@torch.no_grad()
def collect_bayes_terms(
    batches: Iterable[Batch], probability: Probability, transition_matrix: Tensor
) -> IndexedTerms:
    """Return row, given label and Bayes terms of each example, on the CPU.

    Args:
        batches: with given labels.
        probability: batch → probability of each class, (B, C) float32.
        transition_matrix: T, (C, C), see `audit.confidence`.
    """
    parts = []
    for batch in batches:
        p = probability(batch)
        terms = bayes_terms(p, batch.label.to(p.device), transition_matrix.to(p.device))
        parts.append((batch.index, batch.label, BayesTerms(*(part.cpu() for part in terms))))
    return concatenate(parts)


def concatenate(parts: Sequence[IndexedTerms]) -> IndexedTerms:
    """Return several parts as one, in order."""
    index, given, terms = zip(*parts, strict=True)
    all_terms = BayesTerms(*(torch.cat(field) for field in zip(*terms, strict=True)))
    return torch.cat(index), torch.cat(given), all_terms
