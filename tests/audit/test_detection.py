import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from audit.detection import detection
from datamodules.batch import KNOWN_WRONG, UNKNOWN


@pytest.mark.parametrize("scale", [1, 1e-9, 1e9])
def test_equal_to_scikit_learn_with_ties_and_of_any_scale(scale: float) -> None:
    rng = np.random.default_rng(0)
    score = rng.random(500).round(1) * scale - scale / 3
    given, clean = rng.integers(3, size=500), rng.integers(-2, 3, size=500)
    known = clean != UNKNOWN
    wrong = (given != clean)[known]
    found = detection(score, given, clean)
    assert found["noise/auroc"] == pytest.approx(roc_auc_score(wrong, -score[known]), abs=1e-6)
    expected = average_precision_score(wrong, -score[known])
    assert found["noise/ap"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("clean", [[0, 1], [1, 0], [UNKNOWN] * 2, [KNOWN_WRONG] * 2, []])
def test_nothing_is_said_where_it_is_not_defined(clean: list[int]) -> None:
    given = np.arange(len(clean))
    assert detection(np.zeros(len(clean)), given, np.array(clean, dtype=np.int64)) == {}
