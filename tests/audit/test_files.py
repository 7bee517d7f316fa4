import numpy as np
import pytest

from audit.files import quality
from datamodules.batch import UNKNOWN
from tests.audit.audits import some_audit


def test_how_rightly_labels_are_called_wrong_by_hand() -> None:
    audit = some_audit(
        6,
        given=[0, 0, 0, 0, 0, 0],
        clean=[1, 1, 0, 0, 1, UNKNOWN],
        trust=[0.1, 0.2, 0.3, 0.9, 0.8, 0.4],
        weight=[0.0, 0.5, 1.0, 1.0, 2.0, 1.0],
    )
    found = quality(audit)
    assert found["noise/suspicious_share"] == 4 / 6
    assert found["noise/suspicious_precision"] == 2 / 3
    assert found["noise/suspicious_recall"] == 2 / 3
    # pairs of a wrong and a right label, ordered: 0.1 and 0.2 below both, 0.8 below one of two
    assert found["noise/auroc"] == pytest.approx(5 / 6)
    assert found["noise/auroc_weight"] == pytest.approx(4 / 6)
    # what training never saw has no weight to be judged by: one right label less
    unseen = audit._replace(weight=np.where(audit.index == audit.index[2], np.nan, audit.weight))
    assert quality(unseen)["noise/auroc_weight"] == pytest.approx(2 / 3)


def test_without_truth_or_weights_little_is_said() -> None:
    audit = some_audit(4, clean=[UNKNOWN] * 4, trust=[0.1, 0.2, 0.6, 0.7])
    assert quality(audit) == {"noise/suspicious_share": 0.5, "noise/auroc": None}
    right = some_audit(2, given=[0, 1], clean=[0, 1], trust=[0.6, 0.7])
    assert quality(right) == {"noise/suspicious_share": 0.0, "noise/auroc": None}
    assert quality(some_audit(0))["noise/suspicious_share"] is None
    assert np.isnan(some_audit(3).weight).all()
