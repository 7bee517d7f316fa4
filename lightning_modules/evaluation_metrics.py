"""The metrics of a network on one test set."""

from typing import Any

from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from lightning_modules.losses import cross_entropy


class EvaluationMetrics(nn.Module):
    """Accuracy, balanced accuracy, loss, calibration error and, from ten classes on, top-5.

    The calibration error (ECE) is the mean difference between confidence and accuracy over fifteen
    bins of confidence (Guo et al. 2017). For it, two numbers of each example are kept.

    Args:
        name: of the test set; the results are named `<name>/acc` and so on.
        num_classes: C.
    """

    def __init__(self, name: str, num_classes: int) -> None:
        super().__init__()
        self.name = name
        self.num_classes = num_classes
        accuracies = {
            "acc": MulticlassAccuracy(num_classes, average="micro"),
            "acc_balanced": MulticlassAccuracy(num_classes, average="macro"),
        }
        if num_classes >= 10:
            accuracies["top5"] = MulticlassAccuracy(num_classes, top_k=5, average="micro")
        self.accuracies: Any = nn.ModuleDict(accuracies)
        self.loss = MeanMetric()
        self.ece = MulticlassCalibrationError(num_classes, n_bins=15, norm="l1")

    def update(self, logits: Tensor, label: Tensor) -> None:
        """Add logits (B, C) and true classes (B,); B is 0 where ranks outnumber examples."""
        if not len(label):
            return
        for accuracy in self.accuracies.values():
            accuracy.update(logits, label)
        self.ece.update(logits.float().softmax(dim=1), label)
        self.loss.update(cross_entropy(nn.functional.one_hot(label, self.num_classes), logits))

    def compute_and_reset(self) -> dict[str, Tensor]:
        """Return the results over all ranks, and reset."""
        metrics = {**self.accuracies, "loss": self.loss, "ece": self.ece}
        results = {f"{self.name}/{key}": metric.compute() for key, metric in metrics.items()}
        for metric in metrics.values():
            metric.reset()
        return results
