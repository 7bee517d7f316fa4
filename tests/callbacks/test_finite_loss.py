"""What is not finite stops the run before it is saved."""

import pytest
import torch

from callbacks.csv_log import CSVLog
from callbacks.evaluations import Evaluations
from callbacks.finite_loss import FiniteLoss
from tests.callbacks.tiny_run import BATCH, TinyData, TinyModule, trainer


class Poisoned(TinyModule):
    """From step 6 on the loss it tells, or the weights it leaves, are not finite."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def training_step(self, batch, batch_idx):
        outputs = super().training_step(batch, batch_idx)
        if self.global_step >= 6:
            if self.what == "loss":
                bad = torch.tensor(float("inf"))
                outputs["objective"] = outputs["objective"]._replace(loss=bad)
            else:
                with torch.no_grad():
                    self.net.bias[0] = float("nan")
        return outputs


def run(folder, what, every, save_seconds=1e6):
    saves = Evaluations((3, 8), folder, save_seconds=save_seconds)
    log = CSVLog(folder / "metrics.csv")
    made = trainer(folder, [FiniteLoss(every), saves], log)
    with pytest.raises(ValueError, match="not finite") as told:
        made.fit(Poisoned(what), datamodule=TinyData())
    return str(told.value), torch.load(folder / "last.ckpt", weights_only=True), made


def test_the_look_names_the_first_bad_step_its_terms_and_examples(tmp_path):
    told, saved, made = run(tmp_path, "loss", every=7)
    rows = ", ".join(str(row) for row in range(BATCH))
    assert "the loss of step 6 was not finite (train/loss=inf, meta/loss=" in told
    assert f"on the training examples {rows}: lower learning_rate" in told
    assert made.global_step == 7
    assert saved["global_step"] == 3


def test_a_save_looks_first(tmp_path):
    told, saved, made = run(tmp_path, "loss", every=1000)
    assert "the loss of step 6" in told
    assert made.global_step == 8
    assert saved["global_step"] == 3


def test_weights_that_the_loss_has_not_met_yet_are_not_saved(tmp_path):
    told, saved, _ = run(tmp_path, "weights", every=1000, save_seconds=0.0)
    assert "the weights were not finite after step 6" in told
    assert saved["global_step"] == 5
