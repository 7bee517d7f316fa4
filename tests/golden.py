"""Read the golden vectors recorded from the TensorFlow reference, and translate to PyTorch.

The vectors lie in `shared/golden` beside the repository, described by a README there; they are not
part of it, and tests that need them skip where they are absent.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]

_PARAMETER = {
    "kernel": "weight",
    "weights": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "biases": "bias",
}
_STATISTIC = {"moving_mean": "running_mean", "moving_variance": "running_var"}


def golden_folder() -> Path:
    """Return the folder of the golden vectors, or skip the test if it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the golden vectors (shared/golden beside the repository) are not here")
    return folder


@cache
def load(name: str) -> Mapping[str, Array]:
    """Return the arrays of one golden file, such as `"case_G_networks"`, read on demand."""
    return np.load(golden_folder() / f"{name}.npz")


def parameter_names(net: nn.Module, variables: Iterable[str]) -> dict[str, str]:
    """Map the reference's trainable variables, in its order of creation, to our parameters.

    Our networks register their parameters in the reference's order of creation, which is the only
    thing that both sides' names share.

    Args:
        net: a `ResNetCifar` or `WideResNet`.
        variables: `meta/variable_names` (ResNet-29) or `wrn28_10_10/variable_names`.

    Raises:
        ValueError: if the numbers differ or a kernel would meet a bias.
    """
    ours = [name for name, _ in net.named_parameters()]
    names = dict(zip(map(str, variables), ours, strict=True))
    for theirs, mine in names.items():
        if _PARAMETER[theirs.rpartition("/")[2]] != mine.rpartition(".")[2]:
            raise ValueError(f"{theirs} cannot be {mine}: the orders of creation differ.")
    return names


def statistic_names(net: nn.Module, variables: Iterable[str]) -> dict[str, str]:
    """Map the reference's BatchNorm moving statistics to our buffers; see `parameter_names`."""
    return {
        theirs.removesuffix("gamma") + moving: mine.removesuffix("weight") + running
        for theirs, mine in parameter_names(net, variables).items()
        if theirs.endswith("/gamma")
        for moving, running in _STATISTIC.items()
    }


def to_torch(array: Array) -> Tensor:
    """Bring a TensorFlow variable to PyTorch's layout: HWIO to OIHW, (in, out) to (out, in)."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(axes) if axes else array))


def to_tf(tensor: Tensor) -> Array:
    """Bring a PyTorch parameter to TensorFlow's layout, the inverse of `to_torch`."""
    axes = {4: (2, 3, 1, 0), 2: (1, 0)}.get(tensor.ndim)
    array: Array = tensor.detach().cpu().numpy()
    return array.transpose(axes) if axes else array


def images_to_torch(images: Array) -> Tensor:
    """Bring images (B, H, W, 3) to (B, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def load_variables(net: nn.Module, variables: Iterable[str], values: Mapping[str, Array]) -> None:
    """Copy the reference's variables into `net`, and the moving statistics where `values` has them.

    Args:
        net: a `ResNetCifar` or `WideResNet`.
        variables: names of all trainable variables in order of creation.
        values: arrays by TensorFlow name, in TensorFlow's layout.
    """
    variables = list(variables)
    state = net.state_dict()
    names = parameter_names(net, variables)
    names |= {k: v for k, v in statistic_names(net, variables).items() if k in values}
    for theirs, mine in names.items():
        value = to_torch(values[theirs])
        if value.shape != state[mine].shape:
            raise ValueError(f"{theirs} has shape {value.shape}, {mine} {state[mine].shape}.")
        state[mine].copy_(value)


def fingerprints(arrays: Iterable[Array]) -> dict[str, NDArray[np.float64]]:
    """Sum up each array, in TensorFlow's layout and C order, by four float64 numbers.

    Returns:
        `fp_l2`, `fp_sum`, `fp_absmax` and `fp_cos` (the inner product with cos(0.37 k + 1), k the
        flat position), each with one entry per array.
    """
    rows = []
    for array in arrays:
        flat = np.asarray(array, dtype=np.float64).ravel()
        wave = np.cos(0.37 * np.arange(flat.size) + 1.0)
        rows.append([np.linalg.norm(flat), flat.sum(), np.abs(flat).max(), flat @ wave])
    columns = np.array(rows).T
    return dict(zip(["fp_l2", "fp_sum", "fp_absmax", "fp_cos"], columns, strict=True))


# How near two results are. The measures are the golden README's.


@cache
def noise_table() -> dict[str, dict[str, float]]:
    """Return the golden README's noise table: quantity → column, such as "A2 s3" → relative size.

    An entry "<1e-8" is read as 1e-8.
    """
    text = (golden_folder() / "README.md").read_text()
    block = text[text.index("| quantity |") :].split("\n\n")[0]
    header, _, *rows = (
        [cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.split("\n")
    )
    return {
        name: {
            column: float(cell.removeprefix("<"))
            for column, cell in zip(header[1:], cells, strict=True)
            if cell
        }
        for name, *cells in rows
    }


def distance(ours: Tensor, theirs: Array) -> float:
    """Return the largest difference over the largest magnitude: for scalars and vectors."""
    exact = np.asarray(theirs, dtype=np.float64)
    return _relative(np.abs(ours.detach().double().numpy() - exact).max(), np.abs(exact).max())


def distance_of_all(pairs: Iterable[tuple[Array, Array]]) -> float:
    """Return the relative L2 distance over a list of arrays, given as (ours, theirs)."""
    both = [(ours, theirs.astype(np.float64)) for ours, theirs in pairs]
    assert both, "nothing to compare"
    missed = sum(np.square(ours - theirs).sum() for ours, theirs in both)
    total = sum(np.square(theirs).sum() for _, theirs in both)
    return _relative(np.sqrt(missed), np.sqrt(total))


def _relative(missed: float, size: float) -> float:
    """Return missed / size; nothing missed of nothing is 0, such as weights that are all 0."""
    if size == 0:
        return 0.0 if missed == 0 else float("inf")
    return float(missed / size)


def distance_of_list(record: Mapping[str, Array], key: str, ours: Mapping[str, Array]) -> float:
    """Return how far a list over all variables is from a recorded one.

    The largest of: the relative L2 over the variables that are on record whole, and of the
    fingerprints of all of them (length; inner product with a wave, which sees every element).

    Args:
        record: the arrays of one golden file.
        key: of the list, such as "step1/grad".
        ours: arrays by TensorFlow name and in its layout, in its order of creation.
    """
    whole = [(ours[name], record[f"{key}/{name}"]) for name in ours if f"{key}/{name}" in record]
    length = float(np.linalg.norm(record[f"{key}/fp_l2"]))
    found = fingerprints(ours.values())
    prints = [
        _relative(float(np.linalg.norm(found[kind] - record[f"{key}/{kind}"])), length)
        for kind in ("fp_l2", "fp_cos")
    ]
    return max(distance_of_all(whole), *prints)
