"""ResNet-50 version 2 of the official TensorFlow models, which the reference uses for WebVision.

Pre-activation bottlenecks (He et al. 2016, arXiv:1603.05027) with the stride on the 3x3
convolution. torchvision's ResNet-50 is version 1, a different function.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from models.resnet_cifar import truncated_normal_


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, momentum=0.003)


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided), 1x1 convolutions, each after BatchNorm and ReLU, beside a shortcut.

    Where the shape changes, the shortcut is a convolution of the activated input; elsewhere it is
    the raw input.
    """

    def __init__(self, in_channels: int, width: int, *, stride: int, projection: bool) -> None:
        super().__init__()
        self.norm1 = _norm(in_channels)
        self.shortcut = (
            nn.Conv2d(in_channels, 4 * width, 1, stride, bias=False) if projection else None
        )
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.norm2 = _norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.norm3 = _norm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for its input x (B, in_channels, H, W)."""
        y = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.conv2(F.relu(self.norm2(self.conv1(y))))
        y = self.conv3(F.relu(self.norm3(y)))
        return y + shortcut


class ResNet50V2(nn.Module):
    """Map images (B, 3, H, W) in [-1, 1] to logits (B, C).

    Args:
        num_classes: number of classes C.
    """

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        blocks = []
        in_channels = 64
        for group, count in enumerate([3, 4, 6, 3]):
            width = 64 * 2**group
            for block in range(count):
                stride = 2 if group > 0 and block == 0 else 1
                blocks.append(Bottleneck(in_channels, width, stride=stride, projection=block == 0))
                in_channels = 4 * width
        self.blocks = nn.Sequential(*blocks)
        self.norm = _norm(in_channels)
        self.dense = nn.Linear(in_channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Initialise convolutions truncated normal by fan-in, the dense layer Glorot uniform."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
                truncated_normal_(module.weight, 1 / fan_in)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C) for images x (B, 3, H, W)."""
        x = self.stem(x)
        # TensorFlow's "SAME": an even side is padded at its end only, an odd one at both.
        padding = (x.shape[2] % 2, x.shape[3] % 2)
        x = F.max_pool2d(x, 3, 2, padding=padding, ceil_mode=True)
        x = F.relu(self.norm(self.blocks(x)))
        return self.dense(x.mean((2, 3)))
