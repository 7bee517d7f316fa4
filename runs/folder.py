"""A run's folder: whether it is new, unfinished or finished, and which run may use it."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, TextIO

import yaml

from callbacks.checkpoint_file import LAST, PREVIOUS
from datamodules.atomic import write_text
from runs.rows import SET_ASIDE_MARK
from runs.settings import LENGTH_KEYS, Settings, default_run_dir, differences


class RunFolder:
    """The folder of a run, with its `config.yaml`, checkpoints and results.

    The same command finds the same folder, and so resumes the run.

    Args:
        settings: the run's settings; `run_dir` names the folder; null: their hash does.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings["run_dir"] or default_run_dir(settings))
        self.settings = settings
        self._lock: TextIO | None = None

    def release_lock(self) -> None:
        """Release the lock, so that other processes may train here."""
        if self._lock is not None:
            self._lock.close()

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint to resume from."""
        return self.checkpoints / LAST

    @property
    def existing_checkpoints(self) -> list[Path]:
        """The existing checkpoints, newest first; a killed run may have only the previous one."""
        candidates = (self.last_checkpoint, self.checkpoints / PREVIOUS)
        return [path for path in candidates if path.exists()]

    def saved_settings(self) -> Settings | None:
        """Return the settings of the run in this folder; None: there is none.

        Raises:
            ValueError: if they cannot be read.
        """
        path = self.path / "config.yaml"
        if not path.exists():
            return None
        try:
            settings = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(settings, dict):
                return settings
            reason = "it holds no settings"
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} is damaged ({reason}): put it back, or give fresh=true to set the run aside."
        )

    def finished_results(self) -> dict[str, Any] | None:
        """Return the results of a finished run, else None; see `read_results`."""
        results = self.read_results()
        return results if results.get("finished") else None

    def read_results(self) -> dict[str, Any]:
        """Return the content of `results.json`; {}: there is none.

        Raises:
            ValueError: if it cannot be read.
        """
        path = self.path / "results.json"
        try:
            results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if isinstance(results, dict):
                return results
            reason = "it holds no results"
        except (OSError, ValueError) as error:
            reason = str(error)
        raise ValueError(
            f"{path} is damaged ({reason}): put it back, or take it away and train again by the "
            "same command, which goes on from the last checkpoint."
        )

    def move_aside(self) -> Path | None:
        """Rename the folder of a run, if there is one, and return its new path; delete nothing.

        Raises:
            ValueError: if another process trains in it.
        """
        if not (self.path / "config.yaml").exists():
            return None
        self._take_lock()
        self.release_lock()
        folder, number = self.path.resolve(), 1
        while (new_path := folder.with_name(f"{folder.name}{SET_ASIDE_MARK}{number}")).exists():
            number += 1
        return folder.rename(new_path)

    def check_usable(self) -> None:
        """Raise a `ValueError` if this run cannot use the folder.

        Raises:
            ValueError: if it holds another experiment (naming the settings that differ) or other
                files, is not a folder, cannot be written, or holds inputs of this run that
                fresh=true would move.
        """
        config = self.path / "config.yaml"
        if self.settings["fresh"] and config.exists():
            self._check_inputs_stay()
        if not self.settings["fresh"] and (saved := self.saved_settings()):
            changes = differences(saved, self.settings, except_keys=LENGTH_KEYS)
            if changes:
                raise ValueError(
                    f"run_dir={self.path} holds another experiment ({'; '.join(changes)}): give "
                    "another run_dir, or fresh=true to set the old one aside."
                )
        elif not config.exists() and _is_occupied(self.path):
            raise ValueError(
                f"run_dir={self.path} is not an empty folder and holds no config.yaml of a run: "
                "give another run_dir."
            )
        nearest = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        for path in filter(Path.exists, (nearest, self.checkpoints, self.path / "figures")):
            if not path.is_dir() or not os.access(path, os.W_OK):
                raise ValueError(
                    f"run_dir={self.path} cannot be written ({path}): give a run_dir that can."
                )

    def _check_inputs_stay(self) -> None:
        """Raise a `ValueError` if setting the folder aside would move files that this run reads."""
        folder = self.path.resolve()
        inputs = {f"dataset.{key}": value for key, value in self.settings["dataset"].items()}
        inputs["dataset.labels"] = None  # if there is one, it repeats `labels`
        for key, value in {**inputs, "labels": self.settings["labels"]}.items():
            for name in value if isinstance(value, list) else [value]:
                path = Path(name).expanduser() if isinstance(name, str) and name else None
                if path and path.exists() and folder in path.resolve().parents:
                    raise ValueError(
                        f"{key}={name} lies in run_dir={self.path}, which fresh=true would set "
                        "aside: give another run_dir, or copy the file elsewhere first."
                    )

    def create_and_lock(self) -> None:
        """Create the folder, lock it, and write `config.yaml`.

        It is locked until `release_lock` or the process's end.

        Raises:
            ValueError: if the folder cannot be written, or another process trains in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            text = yaml.safe_dump(self.settings, sort_keys=False, allow_unicode=True)
            write_text(self.path / "config.yaml", text)
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"run_dir={self.path} cannot be written ({error.strerror}): give a "
                "run_dir that can."
            ) from None

    def _take_lock(self) -> None:
        self._lock = (self.path / ".lock").open("w")
        try:
            # Not flock, which a killed run's loader processes would hold for some seconds more.
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise ValueError(
                f"Another process is training in run_dir={self.path}: wait for it, or give another "
                "run_dir."
            ) from None


def _is_occupied(path: Path) -> bool:
    if path.is_dir():
        return any(not entry.name.startswith(".") for entry in path.iterdir())
    return path.exists()
