"""What an offline W&B run has on disk after earlier parts of it were stopped or killed."""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_MAGIC, _HEAD = b":W&B", 7  # the file's first bytes, and the size of its header
_BLOCK = 32 * 1024
_WHOLE, _LAST = 1, 4  # kinds of fragment that end a record


def records(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (end offset, record) for each complete record of a `.wandb` file.

    They are wandb's protocol buffers in LevelDB's log format: fragments with a checksum, a length
    and a kind, none of which crosses the border between two blocks of 32 KiB.
    https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    wire: Any = wandb_internal_pb2  # generated, without types
    data = path.read_bytes()
    at, record = _HEAD, b""
    while data.startswith(_MAGIC) and at + 7 <= len(data):
        left_in_block = _BLOCK - at % _BLOCK
        if left_in_block < 7:
            at += left_in_block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        piece = data[at + 7 : at + 7 + length]
        if len(piece) < length or not kind:
            return
        at, record = at + 7 + length, record + piece
        if kind in (_WHOLE, _LAST):
            with suppress(DecodeError):  # a damaged record must not cost the run
                yield at, wire.Record.FromString(record)
            record = b""


def last_step(folder: Path, run_id: str) -> int:
    """Return the last W&B step that earlier parts of a run have on disk, or -1.

    This also cuts off half a record that a killed part left at the end of its file: `wandb sync`
    would refuse that file, and all later parts with it.

    Args:
        folder: `wandb/`, with a folder for each part.
        run_id: the run's ID.
    """
    last = -1
    for path in folder.glob(f"*run-*/run-{run_id}.wandb"):
        whole = _HEAD
        for whole, record in records(path):  # noqa: B007
            if record.HasField("history"):
                last = max(last, record.history.step.num)
        if _HEAD < whole < path.stat().st_size:
            os.truncate(path, whole)
    return last
