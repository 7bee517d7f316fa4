"""The last look at every label, after training: plain images, averaged network, nothing random."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from audit.clean_posterior import CleanPosterior, fit
from audit.confidence import Said, judged, said
from audit.record import Floats
from audit.trust import levelled
from datamodules.augment import normalise
from datamodules.base import NoisyLabelDataModule
from datamodules.batch import Batch
from lightning_modules.base import NoisyLabelModule
from lightning_modules.cpu_collectives import all_gather_object

Logits = Callable[[Batch], Tensor]
Probability = Callable[[Batch], Tensor]


class Look(NamedTuple):
    """What the network predicts for M examples, on the CPU."""

    index: Tensor  # type: ignore[assignment]  # (M,) int64, rows of the training list
    suggested: Tensor  # (M,) int64, the likeliest class
    confidence: Tensor  # (M,) float32, probability of that; see `audit.confidence`
    right: Tensor  # (M,) float32, probability that the given label is right
    right_by_all: Tensor  # (M,) float32, the same with all of T believed


def look_at_all(
    module: NoisyLabelModule,
    data: NoisyLabelDataModule,
    trainer: pl.Trainer,
    level: Tensor,
    of_class: Floats,
) -> Look:
    """Return what the averaged network predicts for every noisy example; ranks share the work.

    Predictions are calibrated on the probe set, unless the method trains on its labels.

    Args:
        module: the method.
        data: the data, already read.
        trainer: its device and precision are used.
        level: of each class, (C,), see `audit.trust`.
        of_class: T, (C, C), see `audit.confidence`.
    """
    network = evaluator(module, trainer)

    def logits(batch: Batch) -> Tensor:
        said = network(batch).float()
        return levelled(said, level.to(said.device))

    console = Console(quiet=not trainer.is_global_zero)
    console.print(f"looking at every label once more, {data.num_train:,} in all", highlight=False)
    counted = torch.from_numpy(of_class).float().to(trainer.strategy.root_device)
    posterior = CleanPosterior()
    if data.num_probe and not module.learns_probe:
        trusted = data.evaluation_loader(data.probe_set, shared=False)
        posterior = fit(*logits_of(trusted, logits), counted)
    batches: Any = data.evaluation_loader(data.train_set)
    bar = track(batches, "", console=console, transient=True, disable=not console.is_terminal)
    shares = all_gather_object(look(bar, lambda batch: posterior(logits(batch)), counted))
    index, given, every = joined(shares)
    return Look(index, every.suggested, *judged(every, given, of_class))


def evaluator(module: NoisyLabelModule, trainer: pl.Trainer) -> Logits:
    """Return a function from batches to the averaged network's logits, as in evaluation."""
    net, device = module.averaged.net, trainer.strategy.root_device
    net.to(device).eval()

    def logits(batch: Batch) -> Tensor:
        with trainer.precision_plugin.forward_context():
            return net(normalise(batch.image.to(device, non_blocking=True)))

    return logits


# Rows, given labels, and predictions.
Looked = tuple[Tensor, Tensor, Said]


@torch.no_grad()
def logits_of(batches: Iterable[Batch], logits: Logits) -> tuple[Tensor, Tensor]:
    """Return logits (M, C) and labels (M,) of some examples, on the CPU."""
    every, label = zip(*((logits(batch).cpu(), batch.label) for batch in batches), strict=True)
    return torch.cat(every), torch.cat(label)


@torch.no_grad()
def look(batches: Iterable[Batch], probability: Probability, of_class: Tensor) -> Looked:
    """Look at each example once; return the result on the CPU.

    Args:
        batches: with given labels.
        probability: batch → probability of each class, (B, C) float32.
        of_class: T, (C, C), see `audit.confidence`.
    """
    looks = []
    for batch in batches:
        p = probability(batch)
        one = said(p, batch.label.to(p.device), of_class.to(p.device))
        looks.append((batch.index, batch.label, Said(*(part.cpu() for part in one))))
    return joined(looks)


def joined(looks: Sequence[Looked]) -> Looked:
    """Return several looks as one, in order."""
    index, given, every = zip(*looks, strict=True)
    parts = Said(*(torch.cat(part) for part in zip(*every, strict=True)))
    return torch.cat(index), torch.cat(given), parts
