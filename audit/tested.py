"""`labels_test.csv`: test labels that nobody checked, judged like the labels trained on.

The network never trained on these pictures. So no visit speaks for or against their labels, and
trust is what the end says (see `audit.trust`): a prediction out of sample, by the same levels and
the same transition matrix. How many are suspicious is judged on the test labels by themselves.

Suggestions never change a test label: the network would then be tested on its own guesses.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from audit.final_predictions import FinalPredictions
from audit.record import Audit
from audit.table import columns as label_columns
from audit.trust import final_trust
from datamodules.base import NoisyLabelDataModule

# Those columns of `labels.csv` that say something here.
_COLUMNS = ("rank", "path", "given_label", "suggested_label", "confidence", "trust")


def audit_tested(final: FinalPredictions | None, data: NoisyLabelDataModule) -> Audit:
    """Return the audit of the test labels that nobody checked; its index is the test set's row.

    Pictures that could not be read are left out. Without final predictions it has no rows.
    """
    examples = data.unchecked_test_set()
    seen = ~data.unread_tests(examples.index.numpy()) & (final is not None)
    rows, given, clean = (
        part.numpy()[seen] for part in (examples.index, examples.label, examples.clean_label)
    )
    nothing, no_visits = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=np.int64)
    suggested, confidence, score = no_visits, nothing, nothing
    if final is not None:
        suggested, confidence, p_right, p_right_full = final.of_rows(rows)
        no_margins = np.zeros(len(rows))
        score = final_trust(no_margins, no_margins, p_right, p_right_full)
    return Audit(
        index=rows,
        given=given,
        clean=clean,
        suggested=suggested,
        confidence=confidence,
        trust=score,
        weight=nothing,
        weight_sd=nothing,
        zero_share=nothing,
        visits=no_visits,
    )


def columns(
    tested: Audit, class_names: Sequence[str], paths: Sequence[str]
) -> dict[str, Sequence[Any]]:
    """Return the columns of `labels_test.csv` (M,), the most suspicious label first.

    Args:
        tested: the audit of M test labels.
        class_names: of the C classes.
        paths: of each picture of the test set.
    """
    table = label_columns(tested, class_names, paths)
    return {name: table[name] for name in _COLUMNS}
