"""Whole runs on a device other than the CPU give the CPU's numbers, bit for bit.

The device is made up (tests/other_device.py). It refuses what a GPU would refuse, such as an
operation on a tensor of the GPU and one of the CPU, and knows nothing of a GPU's own arithmetic.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.compose import ROOT

# An epoch is not quite six steps, so that the audit comes to its end too.
RUN = ("logger=csv", "batch_size=200", "schedule=step", "evaluate_every=3", "log_every=3")


def jobs(folder: Path, pictures: Path) -> list[list[str]]:
    """Return the settings of runs, of a resumption, and of what can be done with a finished run."""
    l2r, ieg = ([f"method={name}", *RUN, f"run_dir={folder / name}"] for name in ("l2r", "ieg"))
    finished = f"checkpoint={folder / 'l2r'}"
    return [
        [*l2r, "max_steps=7"],
        ["mode=evaluate", finished],
        ["mode=audit", finished, f"run_dir={folder / 'audit'}"],
        ["mode=predict", finished, f"pictures={pictures}"],
        [*ieg, "max_steps=2"],
        [*ieg, "max_steps=7"],
    ]


@pytest.mark.slow
def test_runs_on_another_device_equal_those_on_the_cpu(tmp_path: Path) -> None:
    pictures = tmp_path / "new"
    pictures.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    for device in ("cpu", "other"):
        words = [word for job in jobs(tmp_path / device, pictures) for word in ("--", *job)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.other_device", device, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-5000:]
    ours, theirs = tmp_path / "other", tmp_path / "cpu"
    for name in (
        *("l2r/labels.csv", "l2r/weights.csv", "l2r/predictions-new.csv", "audit/labels.csv"),
        *("ieg/labels.csv", "ieg/weights.csv"),
    ):
        assert (ours / name).read_text() == (theirs / name).read_text(), name
    evaluated = [(one / "l2r/evaluation-last.json").read_text() for one in (ours, theirs)]
    assert evaluated[0] == evaluated[1].replace(str(theirs), str(ours))
    for method in ("l2r", "ieg"):
        states = [
            torch.load(one / method / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
            for one in (ours, theirs)
        ]
        for name, value in states[0].items():
            assert torch.equal(value, states[1][name]), name
