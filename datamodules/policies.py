"""What a set of augmentation policies consists of, and the set for CIFAR.

Source: reference sections 1.7 to 1.9, that is, the "good policies" AutoAugment (Cubuk et al. 2019)
published for CIFAR. They are not the 25 policies of torchvision's `AutoAugmentPolicy.CIFAR10`.
"""

from collections.abc import Callable
from dataclasses import dataclass

REFERENCE_SIDE = 32  # the image side for which the reference states its lengths in pixels

OPERATIONS = (
    "Identity",
    "Rotate",
    "ShearX",
    "ShearY",
    "TranslateX",
    "TranslateY",
    "Cutout",
    "AutoContrast",
    "Equalize",
    "Invert",
    "Solarize",
    "Posterize",
    "Colour",
    "Contrast",
    "Brightness",
    "Sharpness",
)

SIGNED_OPERATIONS = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")

RANDAUGMENT_OPERATIONS = tuple(name for name in OPERATIONS if name not in ("Cutout", "Invert"))

IDENTITY = 0  # its index in the operations of every set

# an operation, the probability that it is applied, its level
PolicyOperation = tuple[str, float, int]
Policies = tuple[tuple[PolicyOperation, PolicyOperation], ...]


@dataclass(frozen=True, eq=False)
class PolicySet:
    """Policies, and everything in which the programs that they were published for differ.

    Attributes:
        policies: each example is given one of them.
        operations: what `PolicyDraws.operation` indexes; the first is Identity.
        magnitude: maps (operation, level, side) to an amount; see `magnitude` below.
        outside: value, in every channel, of pixels that come from outside the picture.
        shear_origin: the row or column that a shear does not move, in pixels from the picture's
            corner.
    """

    policies: Policies
    operations: tuple[str, ...]
    magnitude: Callable[[str, int, int], float]
    outside: int
    shear_origin: float


CIFAR_POLICIES: Policies = (
    (("Invert", 0.1, 7), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 8), ("Equalize", 0.9, 2)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 3)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 2), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 8), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 1)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.0, 2)),
    (("TranslateY", 0.7, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.4, 3)),
    (("Equalize", 0.7, 5), ("Invert", 0.1, 3)),
    (("TranslateY", 0.7, 9), ("TranslateY", 0.7, 9)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 1)),
    (("TranslateY", 0.8, 9), ("TranslateY", 0.9, 9)),
    (("AutoContrast", 0.8, 0), ("TranslateY", 0.7, 9)),
    (("TranslateY", 0.2, 7), ("Colour", 0.9, 6)),
    (("Equalize", 0.7, 6), ("Colour", 0.4, 9)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Colour", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 5), ("Equalize", 0.5, 1)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Brightness", 0.3, 7), ("AutoContrast", 0.5, 8)),
    (("AutoContrast", 0.9, 4), ("AutoContrast", 0.5, 6)),
    (("Solarize", 0.3, 5), ("Equalize", 0.6, 5)),
    (("TranslateY", 0.2, 4), ("Sharpness", 0.3, 3)),
    (("Brightness", 0.0, 8), ("Colour", 0.8, 8)),
    (("Solarize", 0.2, 6), ("Colour", 0.8, 6)),
    (("Solarize", 0.2, 6), ("AutoContrast", 0.8, 1)),
    (("Solarize", 0.4, 1), ("Equalize", 0.6, 5)),
    (("Brightness", 0.0, 0), ("Solarize", 0.5, 2)),
    (("AutoContrast", 0.9, 5), ("Brightness", 0.5, 3)),
    (("Contrast", 0.7, 5), ("Brightness", 0.0, 2)),
    (("Solarize", 0.2, 8), ("Solarize", 0.1, 5)),
    (("Contrast", 0.5, 1), ("TranslateY", 0.2, 9)),
    (("AutoContrast", 0.6, 5), ("TranslateY", 0.0, 9)),
    (("AutoContrast", 0.9, 4), ("Equalize", 0.8, 4)),
    (("Brightness", 0.0, 7), ("Equalize", 0.4, 7)),
    (("Solarize", 0.2, 5), ("Equalize", 0.7, 5)),
    (("Equalize", 0.6, 8), ("Colour", 0.6, 2)),
    (("Colour", 0.3, 7), ("Colour", 0.2, 4)),
    (("AutoContrast", 0.5, 2), ("Solarize", 0.7, 2)),
    (("AutoContrast", 0.2, 0), ("Equalize", 0.1, 0)),
    (("ShearY", 0.6, 5), ("Equalize", 0.6, 5)),
    (("Brightness", 0.9, 3), ("AutoContrast", 0.4, 1)),
    (("Equalize", 0.8, 8), ("Equalize", 0.7, 7)),
    (("Equalize", 0.7, 7), ("Solarize", 0.5, 0)),
    (("Equalize", 0.8, 4), ("TranslateY", 0.8, 9)),
    (("TranslateY", 0.8, 9), ("TranslateY", 0.6, 9)),
    (("TranslateY", 0.9, 0), ("TranslateY", 0.5, 9)),
    (("AutoContrast", 0.5, 3), ("Solarize", 0.3, 4)),
    (("Solarize", 0.5, 3), ("Equalize", 0.4, 4)),
    (("Colour", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 7), ("AutoContrast", 0.4, 8)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Colour", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 3)),
    (("AutoContrast", 0.1, 5), ("Brightness", 0.0, 0)),
    (("Cutout", 0.2, 4), ("Equalize", 0.1, 1)),
    (("Equalize", 0.7, 7), ("AutoContrast", 0.6, 4)),
    (("Colour", 0.1, 8), ("ShearY", 0.2, 3)),
    (("ShearY", 0.4, 2), ("Rotate", 0.7, 0)),
    (("ShearY", 0.1, 3), ("AutoContrast", 0.9, 5)),
    (("TranslateY", 0.3, 6), ("Cutout", 0.3, 3)),
    (("Equalize", 0.5, 0), ("Solarize", 0.6, 6)),
    (("AutoContrast", 0.3, 5), ("Rotate", 0.2, 7)),
    (("Equalize", 0.8, 2), ("Invert", 0.4, 0)),
    (("Equalize", 0.9, 5), ("Colour", 0.7, 0)),
    (("Equalize", 0.1, 1), ("ShearY", 0.1, 3)),
    (("AutoContrast", 0.7, 3), ("Equalize", 0.7, 0)),
    (("Brightness", 0.5, 1), ("Contrast", 0.1, 7)),
    (("Contrast", 0.1, 4), ("Solarize", 0.6, 5)),
    (("Solarize", 0.2, 3), ("ShearX", 0.0, 0)),
    (("TranslateX", 0.3, 0), ("TranslateX", 0.6, 0)),
    (("Equalize", 0.5, 9), ("TranslateY", 0.6, 7)),
    (("ShearX", 0.1, 0), ("Sharpness", 0.5, 1)),
    (("Equalize", 0.8, 6), ("Invert", 0.3, 6)),
    (("AutoContrast", 0.3, 9), ("Cutout", 0.5, 3)),
    (("ShearX", 0.4, 4), ("AutoContrast", 0.9, 2)),
    (("ShearX", 0.0, 3), ("Posterize", 0.0, 3)),
    (("Solarize", 0.4, 3), ("Colour", 0.2, 4)),
    (("Equalize", 0.1, 4), ("Equalize", 0.7, 6)),
    (("Equalize", 0.3, 8), ("AutoContrast", 0.4, 3)),
    (("Solarize", 0.6, 4), ("AutoContrast", 0.7, 6)),
    (("AutoContrast", 0.2, 9), ("Brightness", 0.4, 8)),
    (("Equalize", 0.1, 0), ("Equalize", 0.0, 6)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 4)),
    (("Equalize", 0.5, 5), ("AutoContrast", 0.1, 2)),
    (("Solarize", 0.5, 5), ("AutoContrast", 0.9, 5)),
    (("AutoContrast", 0.6, 1), ("AutoContrast", 0.7, 8)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.1, 2)),
    (("Equalize", 0.6, 9), ("Equalize", 0.4, 4)),
)


def scale_length(length: int, side: int, reference_side: int = REFERENCE_SIDE) -> int:
    """Scale a length in pixels, stated for images of side `reference_side`, to another side.

    Truncates, so that as a share of the side it is never more than stated.
    """
    return length * side // reference_side


def magnitude(operation: str, level: int, side: int = REFERENCE_SIDE) -> float:
    """Return the amount, without sign, that a level means for an operation (reference 1.8).

    Args:
        operation: one of `OPERATIONS`.
        level: 0 (weakest as a rule) to 9.
        side: the image's side along which the operation measures lengths.

    Returns:
        Degrees (Rotate), slope (Shear), pixels (Translate), half the side of the hole in pixels
        (Cutout), the first value that is inverted (Solarize, Invert), the bits that are kept
        (Posterize) or the factor of an enhancement; 0 for operations without a level.
    """
    match operation:
        case "Rotate":
            return 3 * level
        case "ShearX" | "ShearY":
            return 0.3 * level / 10
        case "TranslateX" | "TranslateY" | "Cutout":
            return scale_length(level, side)
        case "Solarize":
            return 256 - 256 * level // 10
        case "Posterize":
            return 4 - 4 * level // 10
        case "Colour" | "Contrast" | "Brightness" | "Sharpness":
            return 1.8 * level / 10 + 0.1
        case _:
            return 0


CIFAR = PolicySet(CIFAR_POLICIES, OPERATIONS, magnitude, outside=0, shear_origin=0)
