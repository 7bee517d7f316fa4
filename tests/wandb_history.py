"""What the real W&B client wrote offline, read back from its files."""

import json
import time
from pathlib import Path
from typing import Any

from callbacks.wandb_file import records


def parts(folder: Path) -> list[Path]:
    """Return the files of an offline run's parts, in order, once the client has closed the last."""
    for _ in range(200):
        paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
        if any(record.HasField("exit") for _, record in records(paths[-1])):
            return paths
        time.sleep(0.05)  # `wandb.finish` may come back some milliseconds before it
    raise AssertionError(f"{paths[-1]} has no end")


def values(items: Any) -> dict[str, Any]:
    """Return what a record's items say, by name, without W&B's own."""
    named = {"/".join(item.nested_key) or item.key: item.value_json for item in items}
    return {name: json.loads(value) for name, value in named.items() if name[0] != "_"}


def history(path: Path) -> dict[int, dict[str, Any]]:
    """Return W&B's rows by W&B's step."""
    return {
        record.history.step.num: values(record.history.item)
        for _, record in records(path)
        if record.HasField("history")
    }


def summary(path: Path) -> dict[str, Any]:
    """Return what the summary is in the end."""
    last: dict[str, Any] = {}
    for _, record in records(path):
        last |= values(record.summary.update)
    return last


def exit_code(path: Path) -> int:
    """Return the code a part ended with."""
    (code,) = [record.exit.exit_code for _, record in records(path) if record.HasField("exit")]
    return int(code)
