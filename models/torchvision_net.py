"""Networks of torchvision, from scratch or with given weights."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

# Mean and standard deviation of ImageNet's pixels in [0, 1], which torchvision's weights expect.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_BATCH_COUNTER = ".num_batches_tracked"


class TorchvisionNet(nn.Module):
    """Map images (B, 3, H, W) in [-1, 1] to logits (B, C) with a network of torchvision.

    Args:
        num_classes: C.
        name: in `torchvision.models`, such as `resnet18`.
        weights: None: random; `DEFAULT`: downloaded by torchvision; or a file with a state dict.
            The last layer stays random if it does not fit.

    Raises:
        ValueError: if there is no such network or file, or the weights are another network's.
    """

    def __init__(self, *, num_classes: int, name: str, weights: str | None = None) -> None:
        super().__init__()
        if name not in models.list_models(module=models):
            names = models.list_models(module=models)
            similar = [other for other in names if other.startswith(name[:3])]
            raise ValueError(
                f"model.net.name={name} is not a network of torchvision: give one such as "
                f"{', '.join(similar or ['resnet18', 'efficientnet_b0'])}."
            )
        self.net = models.get_model(name, weights=None, num_classes=num_classes)
        if weights is not None:
            self._load(name, weights)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def _load(self, name: str, weights: str) -> None:
        saved = _downloaded_state(name) if weights == "DEFAULT" else _read_state(weights)
        own = self.net.state_dict()
        last_layer = list(self.net.named_parameters())[-1][0].rpartition(".")[0]
        # early files lack these counters, and torch does not insist on them either
        missing = [key for key in own if key not in saved and not key.endswith(_BATCH_COUNTER)]
        unfit = [
            key
            for key, value in saved.items()
            if key not in own or (value.shape != own[key].shape and not key.startswith(last_layer))
        ]
        if missing or unfit:
            raise ValueError(
                f"model.net.weights={weights} are not those of {name} ({(missing + unfit)[0]} does "
                "not fit): give its own."
            )
        matching = {key: value for key, value in saved.items() if value.shape == own[key].shape}
        self.net.load_state_dict(matching, strict=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C)."""
        return self.net(((x + 1) / 2 - self.mean) / self.std)


def _downloaded_state(name: str) -> Mapping[str, Tensor]:
    try:
        # not the file itself: torchvision renames some of its keys
        return models.get_model(name, weights="DEFAULT").state_dict()
    except OSError as error:
        raise ValueError(
            f"model.net.weights=DEFAULT cannot be fetched ({error}): give a file with a state dict."
        ) from None


def _read_state(weights: str) -> Mapping[str, Tensor]:
    try:
        return torch.load(Path(weights).expanduser(), map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises many kinds
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"model.net.weights={weights} cannot be read ({reason}): give a file with a state "
            "dict, DEFAULT, or null."
        ) from None
