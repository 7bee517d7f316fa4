"""Read the lists that come with data sets, one line per picture: they, not folders, define them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datamodules.noise import Labels


def read_lines(file: Path, remedy: str) -> list[str]:
    """Return the lines of a file that are not blank, stripped.

    Args:
        file: in UTF-8.
        remedy: advice for the error message.

    Raises:
        ValueError: if the file cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ValueError(f"{file} cannot be read ({error.strerror}): {remedy}.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not UTF-8 (byte {error.start}): {remedy}.") from None
    # not splitlines, which also splits at characters that may be part of a name
    return [line for line in map(str.strip, text.split("\n")) if line]


def read_labelled_paths(file: Path, remedy: str, num_classes: int) -> tuple[list[str], Labels]:
    """Return the paths and classes of lines `path class`; a path may hold spaces.

    Raises:
        ValueError: if the file cannot be read, or a line has another form.
    """
    paths, label = [], []
    for line in read_lines(file, remedy):
        path, _, class_text = line.rpartition(" ")
        if not path or not class_text.isdecimal() or int(class_text) >= num_classes:
            raise ValueError(
                f"{file} has a line that is not `path class`, the class from 0 to "
                f"{num_classes - 1}: {line[:80]!r}; {remedy}."
            )
        paths.append(path.rstrip())
        label.append(int(class_text))
    return paths, np.array(label, dtype=np.int64)


def note_count_differences(counts: Sequence[tuple[str, int, int]]) -> list[str]:
    """Return a note if this copy's counts are not the official ones, else an empty list.

    Args:
        counts: what is counted, how many there are, how many the official copy has.
    """
    different = [
        f"{counted:,} {description} ({official:,})"
        for description, counted, official in counts
        if counted != official
    ]
    if not different:
        return []
    return [f"this copy has {', '.join(different)}; in brackets the official one"]
