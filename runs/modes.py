"""What `mode=` chooses: functions of the settings that return flat results.

By name, as those that train take seconds to import.
"""

MODES = {
    "train": "runs.training.train",
    "evaluate": "runs.evaluate.evaluate",
    "audit": "runs.audit.audit",
    "predict": "runs.predict.predict",
    "check": "inspection.look_through.check",
    "compare": "runs.compare.compare",
}
