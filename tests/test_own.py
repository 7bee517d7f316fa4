"""docs/own.md: what it says is written to files beside a copy of train.py, and run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.compose import ROOT

PAGE = (ROOT / "docs" / "own.md").read_text(encoding="utf-8")
FILES = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE, flags=re.DOTALL)
PACKAGES = ("audit", "callbacks", "datamodules", "inspection", "lightning_modules")
PACKAGES += ("models", "report", "runs")
QUICK = ("max_steps=4", "logger=none", "trainer=cpu", "run_dir=run")
COMMANDS = re.findall(r"```sh\n(python train.py .*?)\n```", PAGE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder that looks like the project's, with the page's files in it."""
    shutil.copy(ROOT / "train.py", tmp_path)
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for package in PACKAGES:
        (tmp_path / package).symlink_to(ROOT / package)
    for name, text in FILES:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_page_has_four_of_each_and_a_program() -> None:
    assert len(FILES) == 9
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("command", COMMANDS)
def test_what_it_says_runs(command: str, place: Path) -> None:
    words = shlex.split(command)[2:]
    if not any(word.startswith("method=") for word in words):
        words.append("method=l2r")
    run(place, "train.py", *words, *QUICK)
    results = json.loads((place / "run" / "results.json").read_text())
    assert results["steps"] == 4
    assert results["finished"]


def test_a_network_of_ones_own_says_what_pictures_are(place: Path) -> None:
    run(place, "train.py", "model=mynet", "method=supervised", *QUICK)
    names = [f"{grey}.png" for grey in (0, 100, 255)]
    for name in names:
        Image.new("L", (9, 20), int(name[:-4])).save(place / name)
    said = [line.split() for line in run(place, "classify.py", "run", *names).splitlines()]
    assert [name for name, _, _ in said] == names
    for _, label, probability in said:
        assert label in "0123456789"
        assert 0.1 <= float(probability) <= 1


def run(place: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
