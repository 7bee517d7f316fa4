"""`mode=evaluate`: evaluate a checkpoint; the numbers are exactly those of its training run."""

import json
from typing import Any

from datamodules.atomic import write_text
from runs.build import build_trainer
from runs.reopen import reopen
from runs.settings import Settings

Results = dict[str, Any]


def evaluate(settings: Settings) -> Results:
    """Evaluate a checkpoint on its data set's test sets; print the results and return them.

    Raises:
        ValueError: if there is no such checkpoint, or it does not fit the settings or the data.
    """
    path, saved, run_settings, data, _, module = reopened = reopen(settings, "test")
    trainer = build_trainer(run_settings, max_steps=1, callbacks=[])
    trainer.test(module, datamodule=data, verbose=False)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    results = {"checkpoint": str(path), "steps": saved["global_step"], **metrics}
    if trainer.is_global_zero:
        text = json.dumps(results, indent=2)
        if reopened.folder:
            write_text(reopened.folder / f"evaluation-{path.stem}.json", text)
        print(text)
    return results
