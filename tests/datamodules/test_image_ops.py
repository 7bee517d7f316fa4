"""Every operation against Pillow, image by image: not one value may differ."""

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.apply_policies import apply_policies
from datamodules.augment_draws import PolicyDraws
from datamodules.image_geometry import crop
from datamodules.policies import OPERATIONS, SIGNED_OPERATIONS
from tests.datamodules.pillow_oracle import operate

SIDES = [(32, 32), (8, 8), (20, 33)]
COUNT = 12
WITHOUT_LEVEL = ("Identity", "AutoContrast", "Equalize", "Invert")


def rgba_images(height: int, width: int) -> torch.Tensor:
    """Return noise, dark, bright, narrow, flat and smooth pictures with transparent pixels."""
    generator = torch.Generator().manual_seed(height * width)
    shape = (COUNT, 4, height, width)
    image = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    image[2:4] //= 3
    image[4:6] = 200 + image[4:6] // 7
    image[6:7] = image[6:7, :, :1, :1]
    ramp = torch.linspace(0, 255, width).expand(height, width).to(torch.uint8)
    image[7:10] = ramp // 2 + image[7:10] // 5
    image[:, 3] = torch.where(torch.rand(shape[0], *shape[2:], generator=generator) < 0.2, 0, 255)
    return image


def pillow(image: torch.Tensor, *step: object) -> torch.Tensor:
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
    return torch.from_numpy(np.array(operate(picture, *step))).permute(2, 0, 1)


def draws(name: str, level: int, negative: bool, row: torch.Tensor, column: torch.Tensor):
    """Draw the operation for the first slot of every example."""
    idle = torch.zeros(COUNT, dtype=torch.int64)
    first = [OPERATIONS.index(name), level, int(negative)]
    operation, levels, signs = (torch.stack([idle + value, idle], 1) for value in first)
    rows, columns = (torch.stack([centre, idle], 1) for centre in (row, column))
    return PolicyDraws(operation, levels, signs.bool(), rows, columns)


@pytest.mark.parametrize(("height", "width"), SIDES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_differs_from_pillow(name, height, width):
    image = rgba_images(height, width)
    generator = torch.Generator().manual_seed(1)
    row = torch.randint(height, (COUNT,), generator=generator)
    column = torch.randint(width, (COUNT,), generator=generator)
    for level in (3,) if name in WITHOUT_LEVEL else range(10):
        for negative in (False, True) if name in SIGNED_OPERATIONS else (False,):
            ours = apply_policies(image, draws(name, level, negative, row, column))
            for example in range(COUNT):
                centre = int(row[example]), int(column[example])
                expected = pillow(image[example], name, level, negative, *centre)
                assert torch.equal(ours[example], expected), (level, negative, example)


def test_operations_do_not_change_their_input():
    image = rgba_images(32, 32)
    before = image.clone()
    centre = torch.full((COUNT,), 9)
    for name in OPERATIONS:
        apply_policies(image, draws(name, 5, False, centre, centre))
    assert torch.equal(image, before)


def test_examples_of_one_batch_keep_their_own_operation_and_level():
    image = rgba_images(32, 32)
    generator = torch.Generator().manual_seed(2)
    operation = torch.randint(len(OPERATIONS), (COUNT, 2), generator=generator)
    level = torch.randint(10, (COUNT, 2), generator=generator)
    negative = torch.rand(COUNT, 2, generator=generator) < 0.5
    centre = torch.randint(32, (COUNT, 2), generator=generator)
    drawn = PolicyDraws(operation, level, negative, centre, centre.flip(1))
    together = apply_policies(image, drawn)
    for example in range(COUNT):
        one = slice(example, example + 1)
        alone = apply_policies(image[one], PolicyDraws(*(field[one] for field in drawn)))
        assert torch.equal(together[one], alone)


def test_crop_shows_the_window_and_mirrors_it():
    image = torch.arange(1, 7).view(1, 1, 2, 3).expand(2, 1, 2, 3)
    flip = torch.tensor([False, True])
    views = crop(image, torch.tensor([2, 0]), torch.tensor([0, 1]), flip, (1, 1), 9)
    assert views[:, 0].tolist() == [[[9, 4, 5], [9, 9, 9]], [[9, 9, 9], [3, 2, 1]]]
