"""A checkpoint's network without its data, for pictures that are in no data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from callbacks.checkpoint_file import LAST, load
from datamodules.augment import normalise
from datamodules.pictures import PictureFiles
from datamodules.unreadable import Unreadable
from datamodules.whole_pictures import WholePictures
from runs.build import build_net
from runs.settings import Settings

# What it reads from a file of weights is in the checkpoint, too.
_TORCHVISION = "models.torchvision_net.TorchvisionNet"


class Network(NamedTuple):
    """A trained network, and how it sees pictures.

    Attributes:
        net: the averaged network, in evaluation mode: images `(B, 3, side, side)`, float32 in
            [-1, 1] → logits `(B, C)`.
        class_names: of the C classes.
        side: of the square that it sees.
        whole: whether that is the largest square in a picture's middle, or 7/8 of it, as its data
            set's test pictures were seen.
        settings: of the run.
    """

    net: nn.Module
    class_names: tuple[str, ...]
    side: int
    whole: bool
    settings: Settings

    def pictures(self, root: Path, paths: Sequence[str], unreadable: Unreadable) -> PictureFiles:
        """Return pictures as it sees them; what cannot be read is grey, and noted."""
        kind = WholePictures if self.whole else PictureFiles
        return kind(root, paths, side=self.side, seed=0, flip=False, unreadable=unreadable)

    def read(self, paths: Sequence[str | Path]) -> Tensor:
        """Return pictures in files as it sees them, `(B, 3, side, side)` uint8.

        Raises:
            OSError: if one cannot be read.
        """
        unreadable = Unreadable()
        files = self.pictures(Path(), [str(path) for path in paths], unreadable)
        image = files.plain(torch.arange(len(paths)))
        for path, reason in unreadable.seen.items():
            raise OSError(f"{path}: {reason}")
        return image

    @torch.no_grad()
    def probability(self, image: Tensor) -> Tensor:
        """Return the probability of each class, `(B, C)` float32, of images as `read` gives them.

        The network and the images may be on another device than the CPU.
        """
        return self.net(normalise(image)).float().softmax(dim=1)


def open_network(checkpoint: str | Path) -> Network:
    """Return the network of a checkpoint, on the CPU.

    Args:
        checkpoint: a file, or the folder of a run, of which it is the last one.

    Raises:
        ValueError: if there is no such checkpoint, or it does not say how pictures are seen.
    """
    path = checkpoint_file(checkpoint)
    if path is None:
        raise ValueError(f"There is no checkpoint at {checkpoint}: give a file or a run folder.")
    return network_of(load(path), path)


def network_of(saved: dict[str, Any], path: Path) -> Network:
    """Return the network of a checkpoint's content; see `open_network`."""
    experiment = saved["experiment"]
    settings: Settings = experiment["settings"]
    if "class_names" not in experiment:
        raise ValueError(
            f"{path} was saved by an earlier version, which did not write down the classes and "
            "the size of pictures: train it anew."
        )
    names, (height, width) = tuple(experiment["class_names"]), experiment["image_size"]
    if height != width:
        raise ValueError(f"{path} sees pictures of {height}x{width}, and squares are needed.")
    model = settings["model"]
    if model["net"]["_target_"] == _TORCHVISION:
        model = {**model, "net": {**model["net"], "weights": None}}
    net = build_net({**settings, "model": model}, len(names))
    prefix = "averaged.net."
    net.load_state_dict(
        {
            name.removeprefix(prefix): value
            for name, value in saved["state_dict"].items()
            if name.startswith(prefix)
        }
    )
    whole = settings["dataset"].get("pictures") != "windows"
    return Network(net.eval().requires_grad_(False), names, height, whole, settings)


def checkpoint_file(given: str | Path) -> Path | None:
    """Return the file that a path names, or the last one of a run's folder; None: there is none."""
    path = Path(given)
    places = (path, path / "checkpoints" / LAST, path / LAST)
    return next((one for one in places if one.is_file()), None)


def folder_of(checkpoint: Path) -> Path | None:
    """Return the run folder in which a checkpoint lies, or None."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None
