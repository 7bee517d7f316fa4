"""The functions that `mode=` chooses from; each maps the settings to flat results.

They are given by name, because the modules that train take seconds to import.
"""

MODES = {
    "train": "runs.training.train",
    "evaluate": "runs.evaluate.evaluate",
    "audit": "runs.audit.audit",
    "predict": "runs.predict.predict",
    "check": "inspection.check_mode.check",
    "compare": "runs.compare.compare",
}
