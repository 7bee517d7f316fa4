import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from callbacks.csv_log import CSVLog, read_metrics
from callbacks.training_log import TrainingLog, Window
from datamodules.batch import Batch
from lightning_modules.objective import Objective
from tests.callbacks.tiny_run import BATCH, TRAIN, TinyData, TinyModule, trainer


class Spy(pl.Callback):
    """Keep every step's outputs."""

    def __init__(self):
        self.steps = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append((outputs["objective"], outputs["batch"]))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    spy, log = Spy(), TrainingLog(4)
    csv = CSVLog(folder / "metrics.csv")
    trainer(folder, [spy, log], csv, max_steps=10).fit(TinyModule(), datamodule=TinyData())
    return spy.steps, read_metrics(csv.path), log


def mean(values):
    return torch.cat([value.double().reshape(-1) for value in values]).mean().item()


@pytest.mark.parametrize(("step", "first", "last"), [(4, 0, 4), (8, 4, 8), (10, 8, 10)])
def test_a_row_is_the_mean_of_its_window(run, step, first, last):
    steps, metrics, _ = run
    objectives, batches = zip(*steps[first:last], strict=True)
    given = torch.cat([batch.label for batch in batches])
    clean = torch.cat([batch.clean_label for batch in batches])
    predicted = torch.cat([one.logits for one in objectives]).argmax(1)
    weight = torch.cat([one.example_weight for one in objectives]).double() * BATCH
    mix = torch.cat([one.label_mix for one in objectives])
    pseudo = torch.cat([one.pseudo_label for one in objectives]).argmax(1)
    known = clean >= 0
    right, wrong = known & (clean == given), known & (clean != given)
    expected = {
        "train/loss": mean([one.loss for one in objectives]),
        "meta/loss": mean([one.terms["meta/loss"] for one in objectives]),
        "train/acc": mean([predicted == given]),
        "train/acc_clean": mean([(predicted == clean)[known]]),
        "noise/precision": mean([wrong[known & (predicted != given)]]),
        "noise/recall": mean([(predicted != given)[wrong]]),
        "noise/memorised": mean([(predicted == given)[wrong]]),
        "noise/corrected": mean([(predicted == clean)[wrong]]),
        "weight/zero_share": mean([weight <= 0]),
        "weight/clean_mean": mean([weight[right]]),
        "weight/wrong_mean": mean([weight[wrong]]),
        "weight/auroc": roc_auc_score(wrong[known], -weight[known]),
        "weight/ap": average_precision_score(wrong[known], -weight[known]),
        "label_mix/clean": mean([mix[right]]),
        "label_mix/wrong": mean([mix[wrong]]),
        "pseudo/acc_clean": mean([(pseudo == clean)[right]]),
        "pseudo/acc_wrong": mean([(pseudo == clean)[wrong]]),
        "pseudo/top_class_share": pseudo.bincount().max().item() / len(pseudo),
        "lr": 0.1,
        "epoch": step * BATCH / TRAIN,
    }
    logged = {name: dict(curve).get(step) for name, curve in metrics.items()}
    assert logged.pop("images_per_second") > 0
    assert 2**20 < logged.pop("memory_bytes") < 2**40
    assert logged == pytest.approx(expected, rel=1e-6)


def test_latest_is_the_last_row(run):
    _, metrics, log = run
    assert log.latest == pytest.approx({name: curve[-1][1] for name, curve in metrics.items()})


def test_a_method_without_beliefs_logs_none():
    window = Window()
    batch = Batch(torch.zeros(2), torch.tensor([0, 1]), torch.full((2,), -1), torch.arange(2))
    window.add(Objective(torch.tensor(2.0), {}, torch.eye(2)), batch)
    strategy = pl.strategies.SingleDeviceStrategy("cpu")
    assert window.means(strategy) == {"train/loss": 2.0, "train/acc": 1.0}


def test_a_term_of_some_steps_is_averaged_over_those():
    window = Window()
    batch = Batch(torch.zeros(2), torch.tensor([0, 1]), torch.tensor([0, 1]), torch.arange(2))
    for loss, terms in ((1.0, {"a": torch.tensor(5.0)}), (3.0, {})):
        window.add(Objective(torch.tensor(loss), terms, torch.eye(2)), batch)
    means = window.means(pl.strategies.SingleDeviceStrategy("cpu"))
    assert (means["train/loss"], means["a"]) == (2.0, 5.0)


def test_the_state_is_safe_to_load_and_complete(run, tmp_path):
    steps, _, _ = run
    strategy = pl.strategies.SingleDeviceStrategy("cpu")
    whole, first, second = TrainingLog(), TrainingLog(), TrainingLog()
    for objective, batch in steps:
        whole._window.add(objective, batch)
    for objective, batch in steps[:6]:
        first._window.add(objective, batch)
    first.latest = {"train/loss": 1.0}
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for objective, batch in steps[6:]:
        second._window.add(objective, batch)
    assert second.latest == {"train/loss": 1.0}
    assert second._window.means(strategy) == whole._window.means(strategy)


def test_loggers_forget_lost_steps(tmp_path):
    csv = CSVLog(tmp_path / "metrics.csv")
    csv.log_metrics({"train/loss": 1.0}, step=4)
    trainer(tmp_path, [TrainingLog(4)], csv, max_steps=2).fit(TinyModule(), datamodule=TinyData())
    assert [step for step, _ in read_metrics(csv.path)["train/loss"]] == [2]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_no_step_waits_for_the_device():
    window = Window()
    label = torch.arange(8, device="cuda") % 3
    belief = torch.rand(8, 3, device="cuda")
    objective = Objective(
        belief.sum(), {"a": belief.sum()}, belief, belief[:, 0], belief[:, 1], belief
    )
    batch = Batch(belief, label, label.flip(0), label)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            window.add(objective, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert "weight/auroc" in window.means(pl.strategies.SingleDeviceStrategy("cuda:0"))
