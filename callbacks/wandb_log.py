"""W&B's history: the rows of `metrics.csv`, each at its training step and only once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from callbacks.csv_log import read_rows
from callbacks.wandb_file import last_step

AXIS = "trainer/global_step"  # Lightning makes it the x axis of every metric


class WandbLog(WandbLogger):
    """Send W&B each step's metrics in one row; when a run is resumed, also send what W&B lacks.

    W&B's own step is the training step. W&B cannot delete rows and refuses steps before its last
    one, while a resumed run goes back to a checkpoint and gets the same numbers again: what W&B has
    is not sent twice. A killed run loses what the client had not yet written or sent (some 15
    seconds); `metrics.csv` has it, and it is sent from there.

    Args:
        folder: the run's folder, with `metrics.csv`; `wandb/` goes there.
        kwargs: passed on to `WandbLogger`.
    """

    def __init__(self, folder: Path, **kwargs: Any) -> None:
        super().__init__(save_dir=folder, **kwargs)
        self._wandb_init.pop("anonymous", None)  # wandb warns about it even if it is None
        self._metrics = folder / "metrics.csv"
        self._caught_up = False
        self._last_sent_step = -1  # the last step W&B has from earlier parts of the run
        self._last_sent_names: frozenset[str] = frozenset()  # metrics it has of that step

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return the W&B run; the first call opens it."""
        if self._experiment is None:
            if self._offline:  # before this part's own file is created
                self._last_sent_step = last_step(self._metrics.parent / "wandb", str(self._id))
            run = super().experiment
            if not self._offline:
                self._last_sent_step = run.starting_step - 1
            self._last_sent_names = frozenset(
                read_rows(self._metrics).get(self._last_sent_step, ())
            )
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add values to the row of `step`.

        Args:
            metrics: numbers, or anything else that W&B shows.
            step: number of training steps after which they were measured.

        Raises:
            ValueError: if no step is given.
        """
        if step is None:
            raise ValueError("WandbLog.log_metrics was given no step: say after which step it was.")
        if not self._caught_up:
            self._caught_up = True
            for earlier, row in sorted(read_rows(self._metrics).items()):
                self._send(row, earlier)
        self._send(metrics, step)

    def _send(self, metrics: Mapping[str, Any], step: int) -> None:
        run = self.experiment
        if step == self._last_sent_step:  # the run ended between two calls for this step
            metrics = {name: metrics[name] for name in metrics.keys() - self._last_sent_names}
        if step > self._last_sent_step or (step == self._last_sent_step and metrics):
            run.log({**metrics, AXIS: step}, step=max(step, self._last_sent_step + 1))
