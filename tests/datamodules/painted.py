"""Pictures whose colour says which class they really show, and what is found in their place."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (12, 10)


def colour(label: int, number: int = 0) -> tuple[int, int, int]:
    """Return the colour of a class: its last digit is red, its first digits are green."""
    return 25 * (label % 10), 20 * (label // 10), 60 * (number % 4)


def shown(image: np.ndarray) -> list[int]:
    """Return the classes that pictures (N, 3, H, W) show."""
    red, green, _ = np.asarray(image, dtype=float).mean(axis=(2, 3)).T
    return (np.rint(red / 25) + 10 * np.rint(green / 20)).astype(int).tolist()


def picture(path: Path, label: int, number: int = 0, kind: str = "plain") -> None:
    """Write a picture, or what is found in its place: see `UGLY`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", SIZE, colour(label, number))
    UGLY[kind](image, path)


def _truncated(image: Image.Image, path: Path) -> None:
    image.save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-30])


def _deep(image: Image.Image, path: Path) -> None:
    values = np.full(SIZE[::-1], 200 * 257, dtype=np.uint16)
    Image.fromarray(values).save(path, "PNG")  # a PNG that is called .jpg, as in crawls


UGLY: dict[str, Callable[[Image.Image, Path], object]] = {
    "plain": lambda image, path: image.save(path, "JPEG", quality=95),
    "cmyk": lambda image, path: image.convert("CMYK").save(path, "JPEG", quality=95),
    "grey": lambda image, path: Image.new("L", SIZE, 77).save(path, "JPEG", quality=95),
    "16 bit": _deep,
    "truncated": _truncated,
    "empty": lambda image, path: path.write_bytes(b""),
    "missing": lambda image, path: path.unlink(missing_ok=True),
}


def write(path: Path, lines: Iterable[str]) -> None:
    """Write a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
