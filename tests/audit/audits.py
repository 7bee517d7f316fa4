"""Audits made up for tests."""

from typing import Any

import numpy as np

from audit.record import Audit


def some_audit(count: int, classes: int = 3, seed: int = 0, **changes: Any) -> Audit:
    """Return an audit of random numbers; every fifth true label is unknown."""
    rng = np.random.default_rng(seed)
    given, clean = rng.integers(classes, size=(2, count))
    nothing = np.full(count, np.nan)
    made = Audit(
        index=np.arange(count) * 2,
        given=given,
        clean=np.where(rng.random(count) < 0.2, -1, clean),
        suggested=clean,
        confidence=rng.random(count),
        trust=rng.random(count).round(2),
        weight=nothing,
        weight_sd=nothing,
        zero_share=nothing,
        visits=np.ones(count, dtype=np.int64),
    )
    return made._replace(**{name: np.array(value) for name, value in changes.items()})
