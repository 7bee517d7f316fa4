"""Checkpoint files: written atomically, the previous one kept, and checked when they are read."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from datamodules.atomic import atomic_replace

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class CheckpointFile(TorchCheckpointIO):
    """Writes a checkpoint in place of the last one, which becomes `previous.ckpt`.

    Wherever it is interrupted, one of the two is complete. (Lightning's own writer first writes to
    the system's temporary folder, which may be full or on another disk.)
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: if the disk is full or cannot be written; the last checkpoint is intact then.
        """
        # Not torch.save to the file: its error on a full disk cannot be told from others.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        with atomic_replace(path) as partial:
            partial.write_bytes(content.getbuffer())
            if path.exists():
                os.replace(path, path.with_name(PREVIOUS))


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content, without executing code in it.

    Raises:
        ValueError: if it is damaged or not one of ours.
    """
    try:
        # torch.load does not notice a flipped bit
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"{damaged} in it is not what was written")
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}).") from None
    if "experiment" not in saved:
        raise ValueError(
            f"{path} is a checkpoint, but not of this project: it names no experiment."
        )
    return saved
