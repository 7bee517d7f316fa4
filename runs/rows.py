"""One row for each run: its flat results and its settings.

A run's folder holds both, in `results.json` and `config.yaml`; a multirun's folder holds a row for
each of its jobs, including failed ones.
"""

import glob
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from datamodules.config_checks import is_number
from datamodules.walk import walk

Row = dict[str, Any]

# Marks the name of a folder that fresh=true replaced; a number follows.
SET_ASIDE_MARK = ".replaced-"
JOBS_FOLDER = "jobs"

_MODES_WITHOUT_TRAINING = ("evaluate", "predict", "check")

# What a comparison takes means of, and what it groups by.
_NUMERIC_PREFIXES = ("test/", "noise/", "steps", "seconds")
_SINGLE_VALUED = ("dataset", "noise", "method", "model", "seed")


def why_not_counted(row: Mapping[str, Any]) -> str | None:
    """Return why a run does not count, or None."""
    if row.get("error"):
        return str(row["error"])
    if not row.get("finished", True):
        return "stopped before its last step: run the same command again to go on"
    if row.get("test/acc_last") is None:
        return "its result has no test/acc_last"
    return _invalid_result(row)


def _invalid_result(row: Mapping[str, Any]) -> str | None:
    """Return which result has a value that no run writes, so that it cannot count, or None."""
    for name, value in row.items():
        must_be_number = name.startswith(_NUMERIC_PREFIXES) and value is not None
        if must_be_number and not is_number(value):
            return f"its result has {name}={value}, which is not a number"
        if name in _SINGLE_VALUED and isinstance(value, dict | list):
            return f"its result has {name}={value}, which is not one value"
    return None


def trains_nothing(row: Mapping[str, Any]) -> bool:
    """Return whether a multirun's job trained nothing, so that it is listed, not compared."""
    return row.get("mode") in _MODES_WITHOUT_TRAINING


def find_runs(places: Sequence[str]) -> list[Row]:
    """Return a row for each run, and for each job of a multirun, in some places.

    Args:
        places: folders, or patterns of folders such as `outputs/*ieg*`: run folders, multirun
            folders, and folders that contain these at any depth. Runs that fresh=true set aside
            are only found by their own name.

    Returns:
        Rows with `settings` as in `config.yaml`; `error` says what is wrong with a run, or that a
        place holds none.
    """
    rows: list[Row] = []
    for place in places:
        roots = _matching_folders(place)
        folders = [rows_of_folder for root in roots for rows_of_folder in _run_folders_below(root)]
        if not folders:
            reason = "there is no run below it" if roots else "there is no such folder"
            rows.append({"run_dir": place, "error": reason})
        for folder in folders:
            rows_of_folder = read_jobs(folder) if is_multirun_folder(folder) else [read_run(folder)]
            rows += [row for row in rows_of_folder if not trains_nothing(row)]
    rows_by_folder: dict[object, Row] = {}
    for row in rows:  # a multirun's jobs also have run folders, and places may overlap
        key = Path(row["run_dir"]).resolve() if "run_dir" in row else id(row)
        rows_by_folder.setdefault(key, row)
    return list(rows_by_folder.values())


def read_jobs(folder: Path) -> list[Row]:
    """Return a row for each job of a multirun, with its later result if it was finished later."""
    rows = []
    for file in sorted((folder / JOBS_FOLDER).glob("*.json")):
        row = _read_mapping(file) or {"job": str(file), "error": f"{file.name} is damaged"}
        if why_not_counted(row) and "run_dir" in row:
            later = read_run(Path(row["run_dir"]))
            row = row if why_not_counted(later) else later
        rows.append(row)
    return rows


def read_run(folder: Path) -> Row:
    """Return a run folder's row; `error` says what is missing or damaged there."""
    row: Row = {"run_dir": str(folder)}
    if not (folder / "results.json").exists():
        reason = "not finished: unless a process trains there, run the same command again to go on"
        return {**row, "error": reason}
    files = {name: _read_mapping(folder / name) for name in ("results.json", "config.yaml")}
    for name, content in files.items():
        if content is None:
            reason = "damaged" if (folder / name).exists() else "missing"
            return {**row, "error": f"its {name} is {reason}"}
    row |= {"settings": files["config.yaml"]}
    for group, key in (("choices", "method"), ("trainer", "precision")):
        nested = row["settings"].get(group)
        if not isinstance(nested, dict) or key not in nested:
            row["error"] = f"its config.yaml is damaged: there is no {group}.{key}"
    return {**files["results.json"], **row}


def _read_mapping(file: Path) -> Any:
    """Return what a JSON or YAML file holds, or None if it cannot be read or holds no keys."""
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def _matching_folders(place: str) -> list[Path]:
    """Return the folder of that name, or those that a pattern matches."""
    path = Path(place).expanduser()
    if path.is_dir():
        return [path]
    matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
    return [match for match in matches if match.is_dir() and SET_ASIDE_MARK not in str(match)]


def _run_folders_below(root: Path) -> Iterator[Path]:
    """Yield run and multirun folders, sorted by name; run folders are not searched for others."""
    for folder, subfolders, _ in walk(root):
        if _is_run_folder(folder):
            subfolders.clear()
            yield folder
        elif is_multirun_folder(folder):
            yield folder
        subfolders[:] = sorted(
            name for name in subfolders if name[0] != "." and SET_ASIDE_MARK not in name
        )


def _is_run_folder(folder: Path) -> bool:
    has_begun = (folder / "config.yaml").exists() and (folder / "checkpoints").is_dir()
    return has_begun or (folder / "results.json").exists()


def is_multirun_folder(folder: Path) -> bool:
    """Return whether a folder is a multirun's."""
    return any((folder / JOBS_FOLDER).glob("*.json"))
