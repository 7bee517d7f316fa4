"""Views that the TensorFlow reference itself made, reproduced from the draws behind them."""

import numpy as np
import pytest
import torch

from datamodules.augment import Augment, normalise
from datamodules.augment_draws import CropDraws, HoleDraws, PolicyDraws, StrongDraws
from datamodules.policies import OPERATIONS
from tests.golden import load

# The reference did not record what it drew. These draws were found by trying all of them:
# step, example, operations (name, level, negative), window (top, left, flip), hole (row, column).
# Operations of the policy that chance left out, or that changed nothing, are not listed.
FOUND = [
    (1, 0, [], (5, 6, True), (0, 0)),
    (1, 1, [], (0, 4, False), (6, 15)),
    (1, 3, [("Solarize", 6, False), ("AutoContrast", 1, False)], (3, 1, False), (29, 28)),
    (1, 4, [("Colour", 8, False)], (6, 6, False), (10, 2)),
    (1, 5, [("Equalize", 2, False)], (5, 7, False), (17, 12)),
    (1, 7, [("AutoContrast", 8, False)], (7, 5, True), (2, 21)),
    (1, 12, [("TranslateY", 9, True)], (6, 6, False), (10, 14)),
    (1, 14, [("TranslateY", 3, False)], (4, 1, True), (11, 26)),
    (1, 19, [("Equalize", 2, False)], (4, 0, True), (19, 7)),
    (2, 4, [("Contrast", 6, False)], (7, 2, False), (6, 3)),
    (2, 6, [("Brightness", 6, False)], (2, 0, False), (14, 20)),
    (2, 8, [("ShearY", 2, False)], (6, 5, True), (1, 29)),
    (2, 15, [("Equalize", 8, False), ("Colour", 2, False)], (6, 1, True), (19, 16)),
    (2, 17, [("Cutout", 3, False)], (7, 3, False), (1, 30)),
    (2, 18, [("TranslateY", 9, False), ("TranslateY", 9, False)], (5, 5, True), (1, 25)),
    (3, 5, [("Brightness", 9, False)], (5, 1, False), (24, 10)),
    (3, 7, [("Solarize", 3, False)], (5, 6, False), (0, 19)),
    (3, 15, [("AutoContrast", 2, False), ("Solarize", 3, False)], (3, 1, False), (13, 0)),
    (3, 16, [("Rotate", 2, True)], (4, 3, True), (1, 21)),
]
CUTOUT_CENTRE = (22, 9)  # of the only policy's hole among them


def channels_first(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


def test_normalise_is_the_references_to_the_last_bit():
    recorded = load("case_I_preprocessing")
    values = normalise(torch.arange(256, dtype=torch.uint8)).numpy()
    np.testing.assert_array_equal(values, recorded["lut_uint8_to_float32"])
    images = normalise(channels_first(recorded["input_uint8"]))
    np.testing.assert_array_equal(images, channels_first(recorded["output"]))


def all_weak_views(image: np.ndarray) -> dict[bytes, tuple[int, int, bool]]:
    """Return the 50 weak views that 1.6 allows, made with NumPy alone."""
    scaled = (image * np.float32(1 / 255) - np.float32(0.5)) * np.float32(2)
    padded = np.pad(scaled, [(2, 2), (2, 2), (0, 0)], constant_values=-1)
    views = {}
    for top in range(5):
        for left in range(5):
            window = padded[top : top + 32, left : left + 32]
            views[window.tobytes()] = top, left, False
            views[window[:, ::-1].tobytes()] = top, left, True
    return views


@pytest.mark.parametrize("example", [0, 1])
def test_weak_views_are_the_references_possibilities_and_no_others(example):
    recorded = load("case_I_preprocessing")
    source = recorded["train_mode/input_uint8"][example]
    possible = all_weak_views(source)
    assert len(possible) == 50
    image = channels_first(np.repeat(source[None], 1000, axis=0))
    ours = Augment().weak(image, torch.Generator().manual_seed(0)).permute(0, 2, 3, 1)
    made = {view.tobytes() for view in ours.contiguous().numpy()}
    assert made == set(possible)
    drawn = {view.tobytes() for view in recorded["train_mode/output_draws"][example]}
    assert drawn <= made
    draws = [possible[view] for view in drawn]
    top, left, flip = (torch.tensor(field) for field in zip(*draws, strict=True))
    again = Augment().apply_weak(image[: len(draws)], CropDraws(top, left, flip))
    assert {view.tobytes() for view in again.permute(0, 2, 3, 1).contiguous().numpy()} == drawn


def test_strong_views_are_the_references():
    recorded = load("case_A_ieg")
    weak, strong = (
        channels_first(np.stack([recorded[f"step{s}/in/images_{v}"][i] for s, i, *_ in FOUND]))
        for v in ("weak", "strong")
    )
    padded = [(steps + [("Identity", 0, False)] * 2)[:2] for _, _, steps, _, _ in FOUND]
    operation = torch.tensor([[OPERATIONS.index(name) for name, _, _ in pair] for pair in padded])
    level = torch.tensor([[level for _, level, _ in pair] for pair in padded])
    negative = torch.tensor([[negative for _, _, negative in pair] for pair in padded])
    row, column = (torch.full(operation.shape, centre) for centre in CUTOUT_CENTRE)
    draws = StrongDraws(
        PolicyDraws(operation, level, negative, row, column),
        CropDraws(
            *(torch.tensor(f) for f in zip(*(window for *_, window, _ in FOUND), strict=True))
        ),
        HoleDraws(*(torch.tensor(f) for f in zip(*(hole for *_, hole in FOUND), strict=True))),
    )
    ours = Augment().apply_strong(weak, draws)
    # Equal as uint8; the reference scales what its policies made in double precision.
    np.testing.assert_allclose(ours, strong, rtol=0, atol=2**-23)
    levels = [((view * 0.5 + 0.5) * 255).round() for view in (ours, strong)]
    assert torch.equal(*levels)
