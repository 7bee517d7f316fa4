import errno
import os
import signal

import pytest
import torch

from callbacks.beliefs_over_time import BeliefsOverTime
from callbacks.checkpoint_file import CheckpointFile
from callbacks.csv_log import CSVLog, read_metrics
from callbacks.evaluations import Evaluations
from callbacks.stop_signals import StopSignals
from callbacks.training_log import TrainingLog
from tests.callbacks.tiny_run import CLASSES, TinyData, TinyModule, trainer

STEPS = (3, 7, 8)


class Run:
    """A run folder; `go` starts the run or goes on with it."""

    def __init__(self, folder):
        self.folder, self.last = folder, folder / "last.ckpt"

    def go(self, module=None, max_steps=20, plugins=None, **options):
        torch.set_num_threads(1)
        self.module = module or TinyModule()
        signals = StopSignals()
        self.evaluations = Evaluations(STEPS, self.folder, signals=signals, **options)
        log = CSVLog(self.folder / "metrics.csv")
        # Evaluations is named first: Lightning must move it behind what it saves
        self.beliefs = BeliefsOverTime(CLASSES)
        watching = [self.evaluations, TrainingLog(4), self.beliefs, signals]
        self.trainer = trainer(self.folder, watching, log, max_steps, plugins)
        resume = self.last if self.last.exists() else None
        with signals:
            self.trainer.fit(self.module, datamodule=TinyData(), ckpt_path=resume)
        return self

    @property
    def saved_step(self):
        return torch.load(self.last, weights_only=True)["global_step"]

    @property
    def metrics(self):
        metrics = read_metrics(self.folder / "metrics.csv")
        del metrics["images_per_second"], metrics["memory_bytes"]
        return metrics


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("whole")).go()


def assert_same(run, whole):
    assert run.evaluations.history == whole.evaluations.history
    assert run.metrics == whole.metrics
    assert run.beliefs.weights == whole.beliefs.weights
    for mine, theirs in zip(run.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_exactly_the_chosen_steps_and_the_last(whole):
    assert whole.module.evaluated == [3, 7, 8, 20]
    assert [entry["step"] for entry in whole.evaluations.history] == [3, 7, 8, 20]
    assert [step for step, _ in whole.metrics["test/acc"]] == [3, 7, 8, 20]
    assert set(whole.evaluations.history[0]) == {"step", "acc", "loss"}
    assert whole.trainer.global_step == whole.saved_step == 20


def test_the_saved_state_holds_its_own_evaluation(whole):
    states = torch.load(whole.last, weights_only=True)["callbacks"]
    assert states["Evaluations"]["history"] == whole.evaluations.history
    assert [step for step, _ in states["BeliefsOverTime"]["weights"]] == [3, 7, 8, 20]
    assert sorted(os.listdir(whole.folder)) == ["last.ckpt", "metrics.csv", "previous.ckpt"]


@pytest.mark.parametrize(
    ("dies_at", "saved", "evaluated"),
    [(5, 3, [7, 8, 20]), (8, 7, [8, 20]), (9, 8, [20]), (2, None, [3, 7, 8, 20])],
)
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, whole, dies_at, saved, evaluated):
    run = Run(tmp_path)
    with pytest.raises(SystemExit):
        run.go(TinyModule(dies_at))
    assert run.last.exists() == (saved is not None)
    if saved is not None:
        assert run.saved_step == saved
    run.go()
    assert run.module.evaluated == evaluated
    assert_same(run, whole)


def test_interrupted_twice(tmp_path, whole):
    run = Run(tmp_path)
    for dies_at in (5, 6, 15):
        with pytest.raises(SystemExit):
            run.go(TinyModule(dies_at))
    assert_same(run.go(), whole)


def test_a_save_between_evaluations_resumes_too(tmp_path, whole):
    run = Run(tmp_path)
    for dies_at, saved in ((6, 5), (7, 6), (9, 8), (19, 18)):
        with pytest.raises(SystemExit):
            run.go(TinyModule(dies_at), save_seconds=0.0)
        assert run.saved_step == saved
    assert_same(run.go(), whole)


def test_an_evaluated_step_is_never_saved_before_its_evaluation(tmp_path, whole):

    class DiesInEvaluation(TinyModule):
        def validation_step(self, batch, batch_idx):
            if self.global_step == 7:
                raise KeyboardInterrupt
            super().validation_step(batch, batch_idx)

    run = Run(tmp_path)
    with pytest.raises(SystemExit):
        run.go(DiesInEvaluation(), save_seconds=0.0)
    assert run.saved_step == 6
    assert_same(run.go(), whole)


def test_nothing_is_saved_between_evaluations_before_it_is_time(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(SystemExit):
        run.go(TinyModule(dies_at=19), save_seconds=1e6)
    assert run.saved_step == 8


class Asked(TinyModule):
    """Asked to stop amid a step."""

    def die(self):
        os.kill(os.getpid(), self.error)


@pytest.mark.parametrize("at", [5, 8, 19])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_asked_to_stop_it_ends_the_step_and_saves_it(tmp_path, whole, at, signum, code):
    run = Run(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run.go(Asked(at, signum))
    assert stopped.value.code == code
    assert run.saved_step == run.evaluations.saved_step == at
    run.go()
    assert_same(run, whole)


def test_asked_to_stop_in_its_last_step_it_finishes(tmp_path, whole):
    assert_same(Run(tmp_path).go(Asked(20, signal.SIGTERM)), whole)


def test_outside_training_signals_are_whose_they_were(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    Run(tmp_path).go(max_steps=2)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


class Full(CheckpointFile):
    """A disk with no room for the checkpoint of step 7."""

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        if checkpoint["global_step"] == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().save_checkpoint(checkpoint, path)


def test_a_full_disk_is_told_and_the_checkpoint_before_is_intact(tmp_path, whole):
    run = Run(tmp_path)
    with pytest.raises(ValueError, match=r"step 7 \(that of step 3 is intact\).*No space left"):
        run.go(plugins=[Full()])
    assert run.saved_step == 3
    assert_same(run.go(), whole)


def test_an_error_inside_a_step_saves_nothing(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(RuntimeError, match="boom"):
        run.go(TinyModule(5, RuntimeError("boom")))
    assert run.saved_step == 3


def test_a_finished_run_takes_no_step(tmp_path, whole):
    run = Run(tmp_path).go()
    run.go()
    assert run.module.evaluated == []
    assert run.evaluations.history == whole.evaluations.history
    assert run.metrics == whole.metrics


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path, whole):
    run = Run(tmp_path).go(max_steps=10)
    assert run.module.evaluated == [3, 7, 8, 10]
    run.go()
    assert run.module.evaluated == [20]
    for mine, theirs in zip(run.module.parameters(), whole.module.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_validation_outside_training_changes_nothing(tmp_path):
    run = Run(tmp_path).go()
    before = run.last.read_bytes()
    run.trainer.validate(run.module, datamodule=TinyData(), verbose=False)
    assert run.last.read_bytes() == before
    assert len(run.evaluations.history) == 4


def test_cycle_ends_are_kept(tmp_path):
    run = Run(tmp_path).go(cycle_ends={7})
    assert torch.load(tmp_path / "cycle_end.ckpt", weights_only=True)["global_step"] == 7
    assert run.saved_step == 20
