"""The network of a checkpoint, without its data set, to classify any pictures."""

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

# Its pretrained weights need not be loaded: the checkpoint holds the trained ones.
_TORCHVISION = "models.torchvision_net.TorchvisionNet"


class Network(NamedTuple):
    """A trained network, and how pictures are prepared for it.

    Attributes:
        net: the averaged network, in evaluation mode; maps images `(B, 3, side, side)`, float32 in
            [-1, 1], to logits `(B, C)`.
        class_names: of the C classes.
        side: of the images, in pixels.
        whole: whether an image shows the largest central square of a picture, or 7/8 of its side;
            the same as for the test pictures of its data set.
        settings: of the run.
    """

    net: nn.Module
    class_names: tuple[str, ...]
    side: int
    whole: bool
    settings: Settings

    def pictures(self, root: Path, paths: Sequence[str], unreadable: Unreadable) -> PictureFiles:
        """Return pictures prepared for the network; unreadable ones are grey, and noted."""
        kind = WholePictures if self.whole else PictureFiles
        return kind(root, paths, side=self.side, seed=0, flip=False, unreadable=unreadable)

    def read(self, paths: Sequence[str | Path]) -> Tensor:
        """Return the pictures in files, prepared for the network: `(B, 3, side, side)` uint8.

        Raises:
            OSError: if one cannot be read.
        """
        unreadable = Unreadable()
        files = self.pictures(Path(), [str(path) for path in paths], unreadable)
        image = files.for_evaluation(torch.arange(len(paths)))
        for path, reason in unreadable.seen.items():
            raise OSError(f"{path}: {reason}")
        return image

    @torch.no_grad()
    def probability(self, image: Tensor) -> Tensor:
        """Return the probability of each class, `(B, C)` float32, for images from `read`.

        The network and the images may be on any device, the same for both.
        """
        return self.net(normalise(image)).float().softmax(dim=1)


def open_network(checkpoint: str | Path) -> Network:
    """Return the network of a checkpoint, on the CPU.

    Args:
        checkpoint: a file, or the folder of a run, whose last checkpoint is taken.

    Raises:
        ValueError: if there is no such checkpoint, it cannot be read, or it does not say how
            pictures are prepared.
    """
    path = find_checkpoint_file(checkpoint)
    if path is None:
        raise ValueError(f"There is no checkpoint at {checkpoint}: give a file or a run folder.")
    return network_from_checkpoint(load(path), path)


def network_from_checkpoint(saved: dict[str, Any], path: Path) -> Network:
    """Return the network from a checkpoint's content; see `open_network`."""
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


def find_checkpoint_file(given: str | Path) -> Path | None:
    """Return the checkpoint at a path, or the last one of a run's folder; None: there is none."""
    path = Path(given)
    candidates = (path, path / "checkpoints" / LAST, path / LAST)
    return next((file for file in candidates if file.is_file()), None)


def run_folder_of(checkpoint: Path) -> Path | None:
    """Return the run folder in which a checkpoint lies, or None."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None
