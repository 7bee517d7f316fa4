import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from report.figures import draw_run

BLUE, ORANGE = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def curve(low, high, points=30):
    return [(100 * i, low + (high - low) * i / points) for i in range(1, points + 1)]


def pixels(path, colour):
    """Count pixels of just that colour."""
    with Image.open(path) as image:
        return int((np.asarray(image.convert("RGB")) == colour).all(axis=2).sum())


def width(path):
    with Image.open(path) as image:
        return image.width


def test_a_run_with_beliefs_has_three_panels(tmp_path):
    metrics = {
        "test/acc": curve(0.1, 0.9, 8),
        "train/acc": curve(0.1, 0.6),
        "weight/auroc": curve(0.5, 0.9),
    }
    trust = np.array([0.0, 0.1, 0.9, 0.8, 1.0, 0.0])
    wrong = np.array([True, True, False, False, False, True])
    draw_run(metrics, "a run", tmp_path / "new" / "run.png", trust=trust, wrong=wrong)
    draw_run(metrics, "a run", tmp_path / "two.png")
    # matplotlib 3.10.0 makes the wide one a pixel narrower than 3.11 does
    wanted = pytest.approx(1.5 * width(tmp_path / "two.png"), abs=1)
    assert width(tmp_path / "new" / "run.png") == wanted
    assert pixels(tmp_path / "two.png", BLUE) > 100
    assert pixels(tmp_path / "two.png", ORANGE) > 100


def test_missing_curves_are_left_out(tmp_path):
    draw_run({"train/loss": curve(2, 1)}, "supervised", tmp_path / "run.png")
    assert pixels(tmp_path / "run.png", ORANGE) > 100
    assert pixels(tmp_path / "run.png", BLUE) == 0


def test_trust_where_nobody_knows_the_truth(tmp_path):
    draw_run({}, "", tmp_path / "run.png", trust=np.linspace(0, 1, 50))
    draw_run({}, "", tmp_path / "none.png")
    wanted = pytest.approx(1.5 * width(tmp_path / "none.png"), abs=1)
    assert width(tmp_path / "run.png") == wanted
    with Image.open(tmp_path / "run.png") as image:
        drawn = np.asarray(image.convert("RGB")).astype(int)
    pale_purple = 0.55 * np.array([0xCC, 0x79, 0xA7]) + 0.45 * 255
    assert (abs(drawn - pale_purple).max(axis=2) < 3).sum() > 100


@pytest.mark.parametrize("wrong", [np.zeros(5, bool), np.ones(5, bool)])
def test_one_group_and_equal_scores(tmp_path, wrong):
    draw_run({}, "", tmp_path / "run.png", trust=np.ones(5), wrong=wrong)
    assert (tmp_path / "run.png").exists()


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, report.figures; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
