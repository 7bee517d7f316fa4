"""What an offline W&B run has on disk after earlier parts of it were stopped or killed."""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_MAGIC, _HEADER_SIZE = b":W&B", 7  # the file's first bytes, and the size of its header
_BLOCK_SIZE = 32 * 1024
_FULL, _LAST = 1, 4  # kinds of fragment that end a record


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
    offset, record = _HEADER_SIZE, b""
    while data.startswith(_MAGIC) and offset + 7 <= len(data):
        left_in_block = _BLOCK_SIZE - offset % _BLOCK_SIZE
        if left_in_block < 7:
            offset += left_in_block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        fragment = data[offset + 7 : offset + 7 + length]
        if len(fragment) < length or not kind:
            return
        offset, record = offset + 7 + length, record + fragment
        if kind in (_FULL, _LAST):
            with suppress(DecodeError):  # a damaged record must not cost the run
                yield offset, wire.Record.FromString(record)
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
        record_end = _HEADER_SIZE
        for record_end, record in records(path):  # noqa: B007
            if record.HasField("history"):
                last = max(last, record.history.step.num)
        if _HEADER_SIZE < record_end < path.stat().st_size:
            os.truncate(path, record_end)
    return last
