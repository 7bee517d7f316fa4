"""AutoAugment's policies for large images, as their TensorFlow code applies them.

Source: reference 1.10, that is, "v0" of the AutoAugment (Cubuk et al. 2019) that was published with
EfficientNet. They are not the 25 policies of torchvision's `AutoAugmentPolicy.IMAGENET`.
"""

from datamodules import policies
from datamodules.policies import Policies, PolicySet, scale_length

IMAGENET_SIDE = 224  # the image side for which the reference states its lengths in pixels

IMAGENET_OPERATIONS = (
    "Identity",
    "Rotate",
    "ShearX",
    "ShearY",
    "TranslateY",
    "AutoContrast",
    "Equalize",
    "Invert",
    "Solarize",
    "SolarizeAdd",
    "Posterize",
    "Colour",
)

IMAGENET_POLICIES: Policies = (
    (("Equalize", 0.8, 1), ("ShearY", 0.8, 4)),
    (("Colour", 0.4, 9), ("Equalize", 0.6, 3)),
    (("Colour", 0.4, 1), ("Rotate", 0.6, 8)),
    (("Solarize", 0.8, 3), ("Equalize", 0.4, 7)),
    (("Solarize", 0.4, 2), ("Solarize", 0.6, 2)),
    (("Colour", 0.2, 0), ("Equalize", 0.8, 8)),
    (("Equalize", 0.4, 8), ("SolarizeAdd", 0.8, 3)),
    (("ShearX", 0.2, 9), ("Rotate", 0.6, 8)),
    (("Colour", 0.6, 1), ("Equalize", 1.0, 2)),
    (("Invert", 0.4, 9), ("Rotate", 0.6, 0)),
    (("Equalize", 1.0, 9), ("ShearY", 0.6, 3)),
    (("Colour", 0.4, 7), ("Equalize", 0.6, 0)),
    (("Posterize", 0.4, 6), ("AutoContrast", 0.4, 7)),
    (("Solarize", 0.6, 8), ("Colour", 0.6, 9)),
    (("Solarize", 0.2, 4), ("Rotate", 0.8, 9)),
    (("Rotate", 1.0, 7), ("TranslateY", 0.8, 9)),
    (("ShearX", 0.0, 0), ("Solarize", 0.8, 4)),
    (("ShearY", 0.8, 0), ("Colour", 0.6, 4)),
    (("Colour", 1.0, 0), ("Rotate", 0.6, 2)),
    (("Equalize", 0.8, 4), ("Equalize", 0.0, 8)),
    (("Equalize", 1.0, 4), ("AutoContrast", 0.6, 2)),
    (("ShearY", 0.4, 7), ("SolarizeAdd", 0.6, 7)),
    (("Posterize", 0.8, 2), ("Solarize", 0.6, 10)),
    (("Solarize", 0.6, 8), ("Equalize", 0.6, 1)),
    (("Colour", 0.8, 6), ("Rotate", 0.4, 5)),
)


def magnitude(operation: str, level: int, side: int = IMAGENET_SIDE) -> float:
    """Return the amount, without sign, that a level means for an operation (reference 1.10).

    Args:
        operation: one of `IMAGENET_OPERATIONS`.
        level: 0 to 10; a higher level makes Posterize and, up to 9, Solarize weaker.
        side: the image's side along which the operation measures lengths.

    Returns:
        As `policies.magnitude`; for SolarizeAdd, the amount that is added to dark values.
    """
    match operation:
        case "TranslateY":
            return scale_length(25 * level, side, IMAGENET_SIDE)  # 9: more than the whole picture
        case "Solarize":
            # TensorFlow compares bytes, and 256 is 0 as a byte: level 10 inverts everything.
            return 256 * level // 10 % 256
        case "SolarizeAdd":
            return 11 * level
        case "Posterize":
            return max(1, 4 * level // 10)  # TensorFlow shifts a byte by 7 bits at most
        case _:
            return policies.magnitude(operation, level, side)


IMAGENET = PolicySet(
    IMAGENET_POLICIES, IMAGENET_OPERATIONS, magnitude, outside=128, shear_origin=0.5
)
