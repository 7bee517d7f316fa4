"""The final predictions, after training: plain images, averaged network, nothing random."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from audit.clean_posterior import CleanPosterior, fit_clean_posterior
from audit.confidence import BayesTerms, bayes_terms, label_posterior
from audit.record import Floats
from audit.trust import levelled
from datamodules.augment import normalise
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from lightning_modules.base import NoisyLabelModule
from lightning_modules.cpu_collectives import all_gather_object

Logits = Callable[[Batch], Tensor]
Probability = Callable[[Batch], Tensor]


class FinalPredictions(NamedTuple):
    """What the network predicts for M examples, on the CPU."""

    index: Tensor  # type: ignore[assignment]  # (M,) int64, rows of the training list
    suggested: Tensor  # (M,) int64, the likeliest class
    confidence: Tensor  # (M,) float32, probability of that; see `audit.confidence`
    p_right: Tensor  # (M,) float32, probability that the given label is right
    p_right_full_transition: Tensor  # (M,) float32, the same with all of T believed


def predict_noisy_examples(
    module: NoisyLabelModule,
    data: NoisyLabelDataModule,
    trainer: pl.Trainer,
    level: Tensor,
    transition_matrix: Floats,
) -> FinalPredictions:
    """Return what the averaged network predicts for every noisy example; ranks share the work.

    Predictions are calibrated on the probe set, unless the method trains on its labels.

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
    console.print(f"looking at every label once more, {data.num_train:,} in all", highlight=False)
    transition_tensor = torch.from_numpy(transition_matrix).float().to(trainer.strategy.root_device)
    posterior = CleanPosterior()
    if data.num_probe and not module.learns_probe:
        trusted = data.evaluation_loader(data.probe_set, shared=False)
        posterior = fit_clean_posterior(*logits_of(trusted, logits), transition_tensor)
    noisy: Any = data.evaluation_loader(data.train_set)
    progress = track(noisy, "", console=console, transient=True, disable=not console.is_terminal)
    per_rank = all_gather_object(
        collect_bayes_terms(progress, lambda batch: posterior(logits(batch)), transition_tensor)
    )
    index, given, terms = concatenate(per_rank)
    return FinalPredictions(
        index, terms.suggested, *label_posterior(terms, given, transition_matrix)
    )


def evaluator(module: NoisyLabelModule, trainer: pl.Trainer) -> Logits:
    """Return a function from batches to the averaged network's logits, as in evaluation."""
    net, device = module.averaged.net, trainer.strategy.root_device
    net.to(device).eval()

    def logits(batch: Batch) -> Tensor:
        with trainer.precision_plugin.forward_context():
            return net(normalise(batch.image.to(device, non_blocking=True)))

    return logits


# Rows of the training list, given labels, and what Bayes' rule needs of the predictions.
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
