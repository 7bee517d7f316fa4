"""A run's folder: new, unfinished or finished, and what it may be used for."""

import json
import os
from pathlib import Path
from typing import Any

import yaml

from runs.settings import Settings, default_run_dir, differences


class RunFolder:
    """Where everything of a run lies: `config.yaml`, checkpoints, results.

    The same command finds the same folder, and so goes on where it stopped.

    Args:
        settings: the run's settings; `run_dir` decides, or their hash where it is null.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings["run_dir"] or default_run_dir(settings))
        self.settings = settings

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.checkpoints / "last.ckpt"

    def results(self) -> dict[str, Any] | None:
        """Return the results if the run is finished."""
        path = self.path / "results.json"
        results = json.loads(path.read_text()) if path.exists() else {}
        return results if results.get("finished") else None

    def set_aside(self) -> Path | None:
        """Rename the folder, if there is one, to a name that is free; nothing is deleted."""
        if not self.path.exists():
            return None
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.replaced-{number}")).exists():
            number += 1
        return self.path.rename(aside)

    def check(self) -> None:
        """Raise a `ValueError` if the folder holds another experiment or cannot be written.

        Raises:
            ValueError: with the settings that differ.
        """
        config = self.path / "config.yaml"
        if config.exists():
            changed = differences(yaml.safe_load(config.read_text()), self.settings)
            if changed:
                raise ValueError(
                    f"run_dir={self.path} holds another experiment ({'; '.join(changed)}): give "
                    "another run_dir, or fresh=true to set the old one aside."
                )
        elif self.path.exists() and any(self.path.iterdir()):
            raise ValueError(
                f"run_dir={self.path} is not empty and holds no config.yaml of a run: give "
                "another run_dir, or fresh=true to set it aside."
            )

    def open(self) -> None:
        """Make the folder and write `config.yaml`.

        Raises:
            ValueError: if the folder cannot be written.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)
            write_atomically(self.path / "config.yaml", text)
        except OSError as error:
            raise ValueError(
                f"run_dir={self.path} cannot be written ({error.strerror}): give a "
                "run_dir that can."
            ) from None


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is either whole or as it was."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
