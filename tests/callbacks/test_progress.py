import io
import re

import pytest
from rich.console import Console

from callbacks.csv_log import CSVLog
from callbacks.evaluations import Evaluations
from callbacks.progress import RunProgress, fit_line
from callbacks.training_log import TrainingLog
from datamodules.phrases import duration
from tests.callbacks.tiny_run import TinyData, TinyModule, trainer


def console(width=100, terminal=False):
    return Console(
        file=io.StringIO(), width=width, force_terminal=terminal, force_interactive=terminal
    )


def go(folder, out, module=None, **options):
    callbacks = [
        RunProgress(console=out, **options),
        TrainingLog(2),
        Evaluations((7,), folder),
    ]
    last = folder / "last.ckpt"
    trainer(folder, callbacks, CSVLog(folder / "metrics.csv"), max_steps=10).fit(
        module or TinyModule(), datamodule=TinyData(), ckpt_path=last if last.exists() else None
    )
    return out.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7625, "2 h 07 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_a_narrow_line_keeps_what_matters():
    fields = [(0, "step 120/400"), (4, "31 steps/s"), (1, "loss 2.31"), (2, "test acc 0.912")]
    assert fit_line(fields, 80) == "step 120/400  31 steps/s  loss 2.31  test acc 0.912"
    assert fit_line(fields, 40) == "step 120/400  loss 2.31  test acc 0.912"
    assert fit_line(fields, 30) == "step 120/400  loss 2.31"
    assert fit_line(fields, 5) == "step 120/400"


def test_plain_lines_at_evaluations_only(tmp_path):
    lines = go(tmp_path, console()).splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        r"step 7/10  [\d.e+]+ steps/s  loss [\d.]+  train acc [\d.]{5}  test acc [\d.]{5}"
        r"  \d+ s gone  \d+ s left",
        lines[0],
    )
    assert lines[1].startswith("step 10/10  ")
    assert lines[1].endswith("  0 s left")


def test_plain_lines_when_it_is_time(tmp_path):
    lines = go(tmp_path, console(), plain_seconds=0.0).splitlines()
    steps = [line.split("/")[0] for line in lines]
    # steps 7 and 10 have a second line, after their evaluation
    expected = [1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 10]
    assert steps == [f"step {step}" for step in expected]
    # one step is no pace
    assert "steps/s" not in lines[0]
    assert "loss" not in lines[0]
    assert "test acc" not in lines[6]


def test_a_resumed_run_shows_where_it_is(tmp_path):
    with pytest.raises(SystemExit):
        go(tmp_path, console(), TinyModule(dies_at=9))
    lines = go(tmp_path, console(), plain_seconds=0.0).splitlines()
    assert lines[0].startswith("step 8/10  ")
    # the last evaluation before the break
    assert "test acc" in lines[0]
    assert "steps/s" not in lines[0]
    assert "steps/s" in lines[1]


@pytest.mark.parametrize(("width", "bar"), [(100, True), (40, False)])
def test_the_live_bar(tmp_path, width, bar):
    shown = go(tmp_path, console(width, terminal=True))
    assert "step 10/10" in shown
    assert "evaluating, 3 batches" in shown
    assert ("━" in shown) == bar
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert max(len(line) for line in re.split(r"[\r\n]", text)) <= width


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("boom")])
def test_an_interrupted_run_leaves_the_terminal_sane(tmp_path, error):
    out = console(terminal=True)
    with pytest.raises((SystemExit, RuntimeError)):
        go(tmp_path, out, TinyModule(dies_at=5, error=error))
    shown = out.file.getvalue()
    hidden, visible = shown.rfind("\x1b[?25l"), shown.rfind("\x1b[?25h")
    assert 0 <= hidden < visible


def test_an_interrupted_evaluation_too(tmp_path):
    class Dies(TinyModule):
        def validation_step(self, batch, batch_idx):
            raise KeyboardInterrupt

    out = console(terminal=True)
    with pytest.raises(SystemExit):
        go(tmp_path, out, Dies())
    shown = out.file.getvalue()
    assert shown.rfind("\x1b[?25l") < shown.rfind("\x1b[?25h")
