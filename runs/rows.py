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
SET_ASIDE = ".replaced-"
JOBS = "jobs"

_LISTED = ("evaluate", "predict", "check")

# What a comparison takes means of, and what it groups by.
_MEASURED = ("test/", "noise/", "steps", "seconds")
_SINGLE = ("dataset", "noise", "method", "model", "seed")


def problem(row: Mapping[str, Any]) -> str | None:
    """Return why a run does not count, or None."""
    if row.get("error"):
        return str(row["error"])
    if not row.get("finished", True):
        return "stopped before its last step: run the same command again to go on"
    if row.get("test/acc_last") is None:
        return "its result has no test/acc_last"
    return _flaw(row)


def _flaw(row: Mapping[str, Any]) -> str | None:
    """Return which result has a value that no run writes, so that it cannot count, or None."""
    for name, value in row.items():
        measured = name.startswith(_MEASURED) and value is not None
        if measured and not is_number(value):
            return f"its result has {name}={value}, which is not a number"
        if name in _SINGLE and isinstance(value, dict | list):
            return f"its result has {name}={value}, which is not one value"
    return None


def is_listed(row: Mapping[str, Any]) -> bool:
    """Return whether a multirun's job trained nothing, so that it is listed, not compared."""
    return row.get("mode") in _LISTED


def find(places: Sequence[str]) -> list[Row]:
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
        roots = _roots(place)
        folders = [found for root in roots for found in _below(root)]
        if not folders:
            why = "there is no run below it" if roots else "there is no such folder"
            rows.append({"run_dir": place, "error": why})
        for folder in folders:
            found = read_jobs(folder) if holds_jobs(folder) else [read_run(folder)]
            rows += [row for row in found if not is_listed(row)]
    seen: dict[object, Row] = {}
    for row in rows:  # a multirun's jobs also have run folders, and places may overlap
        where = Path(row["run_dir"]).resolve() if "run_dir" in row else id(row)
        seen.setdefault(where, row)
    return list(seen.values())


def read_jobs(folder: Path) -> list[Row]:
    """Return a row for each job of a multirun, with its later result if it was finished later."""
    rows = []
    for file in sorted((folder / JOBS).glob("*.json")):
        row = _read(file) or {"job": str(file), "error": f"{file.name} is damaged"}
        if problem(row) and "run_dir" in row:
            later = read_run(Path(row["run_dir"]))
            row = row if problem(later) else later
        rows.append(row)
    return rows


def read_run(folder: Path) -> Row:
    """Return a run folder's row; `error` says what is missing or damaged there."""
    row: Row = {"run_dir": str(folder)}
    if not (folder / "results.json").exists():
        why = "not finished: unless a process trains there, run the same command again to go on"
        return {**row, "error": why}
    files = {name: _read(folder / name) for name in ("results.json", "config.yaml")}
    for name, content in files.items():
        if content is None:
            why = "damaged" if (folder / name).exists() else "missing"
            return {**row, "error": f"its {name} is {why}"}
    row |= {"settings": files["config.yaml"]}
    for group, key in (("choices", "method"), ("trainer", "precision")):
        nested = row["settings"].get(group)
        if not isinstance(nested, dict) or key not in nested:
            row["error"] = f"its config.yaml is damaged: there is no {group}.{key}"
    return {**files["results.json"], **row}


def _read(file: Path) -> Any:
    """Return what a JSON or YAML file holds, or None if it cannot be read or holds no keys."""
    try:
        text = file.read_text(encoding="utf-8")
        content = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def _roots(place: str) -> list[Path]:
    """Return the folder of that name, or those that a pattern matches."""
    path = Path(place).expanduser()
    if path.is_dir():
        return [path]
    matches = map(Path, sorted(glob.glob(str(path), recursive=True)))
    return [one for one in matches if one.is_dir() and SET_ASIDE not in str(one)]


def _below(root: Path) -> Iterator[Path]:
    """Yield run and multirun folders, sorted by name; run folders are not searched for others."""
    for folder, below, _ in walk(root):
        if _is_run(folder):
            below.clear()
            yield folder
        elif holds_jobs(folder):
            yield folder
        below[:] = sorted(one for one in below if one[0] != "." and SET_ASIDE not in one)


def _is_run(folder: Path) -> bool:
    begun = (folder / "config.yaml").exists() and (folder / "checkpoints").is_dir()
    return begun or (folder / "results.json").exists()


def holds_jobs(folder: Path) -> bool:
    """Return whether a folder is a multirun's."""
    return any((folder / JOBS).glob("*.json"))
