"""How well the trust score finds wrong labels, compared with baselines and confident learning.

    python benchmarks/audit_scores.py dataset=digits_asym method=l2r
    python benchmarks/audit_scores.py dataset=cifar10n method=supervised model=resnet11

Trains once, as train.py would, and computes every score from the same predictions. Prints AUROC,
average precision, and precision among the k most suspicious: k = 100, half the number of wrong
labels, and their number. Confident learning is cleanlab's (pip install cleanlab), if that is
installed, on the averaged network's probabilities and on the means over the visits. These come from
a network trained on the labels; its authors would use cross-validation.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback

sys.path.insert(0, str(Path(__file__).parents[1]))

from audit import final_predictions
from audit.detection import detection
from benchmarks.composed import settings
from callbacks.label_audit import LabelAudit
from runs.training import prepare

Floats = NDArray[np.float64]


class Visits(Callback):
    """Sum probabilities, log p(given) and logit margins over the visits; keep the last log p.

    Args:
        size: examples in the training list.
        classes: C.
    """

    def __init__(self, size: int, classes: int) -> None:
        self.visits = np.zeros(size)
        self.probability = np.zeros((size, classes))
        self.log_probability, self.logit_margin, self.last = np.zeros((3, size))

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *args: Any) -> None:
        """Add one step's visits."""
        logits, examples = outputs["objective"].logits.double(), outputs["batch"]
        rows, place = examples.index.numpy(), examples.label[:, None]
        of_given = logits.gather(1, place)[:, 0]
        others = logits.scatter(1, place, -torch.inf).amax(dim=1)
        log_p = logits.log_softmax(dim=1).gather(1, place)[:, 0].numpy()
        np.add.at(self.visits, rows, 1)
        np.add.at(self.probability, rows, logits.softmax(dim=1).numpy())
        np.add.at(self.log_probability, rows, log_p)
        np.add.at(self.logit_margin, rows, (of_given - others).numpy())
        self.last[rows] = log_p


def scores(
    visits: Visits, end_probability: Floats, rows: NDArray[np.int64], given: NDArray[np.int64]
) -> dict[str, Floats]:
    """Return each baseline's scores, (N,); low: probably wrong.

    Args:
        visits: noted in training.
        end_probability: probabilities of the averaged network, (N, C).
        rows: of the N examples in the training list.
        given: their given labels, (N,).
    """
    count = visits.visits[rows]
    mean_probability = visits.probability[rows] / count[:, None]
    position = np.arange(len(given))

    def margin(p: Floats) -> Floats:
        others = p.copy()
        others[position, given] = -1
        return p[position, given] - others.max(axis=1)

    scores_by_name = {
        "loss at the last visit": visits.last[rows],
        "loss at the end": np.log(end_probability[position, given] + 1e-300),
        "margin at the end": margin(end_probability),
        "mean loss": visits.log_probability[rows] / count,
        "mean p(given)": mean_probability[position, given],
        "area under the margin, logits": visits.logit_margin[rows] / count,
    }
    try:
        from cleanlab.rank import get_label_quality_scores as quality
    except ImportError:
        print("confident learning is left out: cleanlab is not installed", file=sys.stderr)
        return scores_by_name
    for name, p in (("end", end_probability), ("mean", mean_probability)):
        p = (p + 1e-12) / (p + 1e-12).sum(axis=1, keepdims=True)
        for method in ("self_confidence", "normalized_margin"):
            scores_by_name[f"confident learning, {name}, {method.replace('_', ' ')}"] = quality(
                given, p, method=method, adjust_pred_probs=True
            )
    return scores_by_name


def keep_probabilities_in(end_probability: Floats) -> None:
    """Make the audit's final predictions fill the rows of `end_probability`, (N, C)."""
    evaluator = final_predictions.evaluator

    def evaluator_that_keeps(*args: Any) -> final_predictions.Logits:
        logits = evaluator(*args)

        def logits_and_keep(batch: Any) -> torch.Tensor:
            batch_logits = logits(batch)
            end_probability[batch.index.numpy()] = batch_logits.double().softmax(dim=1).numpy()
            return batch_logits

        return logits_and_keep

    final_predictions.evaluator = evaluator_that_keeps


def measure(score: Floats, given: NDArray[np.int64], clean: NDArray[np.int64]) -> dict[str, float]:
    """Return AUROC, average precision, and precision at each k."""
    wrong = (given != clean)[np.argsort(score, kind="stable")]
    count = int(wrong.sum())
    precision = {
        f"p@{name}": float(wrong[:k].mean())
        for name, k in (("100", 100), ("n/2", count // 2), ("n", count))
    }
    return {**detection(score, given, clean), **precision}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        overrides = ["logger=none", "trainer=cpu", f"run_dir={folder}", "evaluate_every=1000000"]
        run = prepare(settings(*overrides, *sys.argv[1:]))
        data = run.data
        data.prepare_data()
        data.setup("fit")
        print(data.manifest.describe(), file=sys.stderr)
        visits = Visits(data.train_size, data.num_classes)
        end_probability = np.zeros((data.train_size, data.num_classes))
        keep_probabilities_in(end_probability)
        run.trainer.callbacks.append(visits)  # type: ignore[attr-defined]
        run.folder.checkpoints.mkdir()
        run.trainer.fit(run.module, datamodule=data)
        label_audit = next(
            callback for callback in run.trainer.callbacks if isinstance(callback, LabelAudit)
        )  # type: ignore[attr-defined]
        audit = label_audit.audit(data)
        accuracy = next(
            callback.history[-1]["acc"]
            for callback in run.trainer.callbacks
            if hasattr(callback, "history")  # type: ignore[attr-defined]
        )
    seen = visits.visits[audit.index] > 0
    rows, given, clean = audit.index[seen], audit.given[seen], audit.clean[seen]
    scores_by_name = {
        "trust": audit.trust[seen],
        **scores(visits, end_probability[rows], rows, given),
    }
    if not np.isnan(audit.weight).all():
        scores_by_name["mean example weight"] = audit.weight[seen]
    table = {name: measure(score, given, clean) for name, score in scores_by_name.items()}
    print(f"{' '.join(sys.argv[1:])}: test accuracy {accuracy:.3f}")
    heads = list(next(iter(table.values())))
    print(f"| score | {' | '.join(head.removeprefix('noise/') for head in heads)} |")
    print("|---" * (len(heads) + 1) + "|")
    for name, row in table.items():
        print(f"| {name} | {' | '.join(f'{row[head]:.4f}' for head in heads)} |")
    print(json.dumps({"settings": sys.argv[1:], "test/acc": accuracy, "scores": table}))


if __name__ == "__main__":
    main()
