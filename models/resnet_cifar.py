"""Bottleneck ResNets for small images: ResNet-29 of the paper's reference code, and its relatives.

Pre-activation blocks (He et al. 2016, arXiv:1603.05027) with TensorFlow's "SAME" padding and
initialisers, as in the TensorFlow release of "Distilling Effective Supervision from Severe Label
Noise" (Zhang et al., CVPR 2020).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.config_checks import check_bool

# Standard deviation of a standard normal truncated at two standard deviations.
TRUNCATED_STD = 0.87962566103423978


def truncated_normal_(weight: Tensor, variance: float) -> None:
    """Fill `weight` from a normal truncated at two sigma, with `variance` after truncation."""
    sigma = variance**0.5 / TRUNCATED_STD
    nn.init.trunc_normal_(weight, std=sigma, a=-2 * sigma, b=2 * sigma)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a shortcut; nothing is applied after the addition.

    The parameters are registered in the order in which the reference creates them.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        first_norm: bool,
        first_activation: bool,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels) if first_norm else nn.Identity()
        self.activation1 = nn.ReLU() if first_activation else nn.Identity()
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for its input x (B, in_channels, H, W)."""
        y = self.conv1(self.activation1(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        y = self.conv3(F.relu(self.norm3(y)))
        return y + self.shortcut(x)


class ResNetCifar(nn.Module):
    """Map images (B, 3, H, W) in [-1, 1] to logits (B, C), in three stages of bottlenecks.

    The reference leaves out a ReLU: the first BatchNorm of every block feeds its first convolution
    directly. That is the default here, because it is the network the reference trains;
    `first_activation=True` puts the ReLU back. The very first block has no first BatchNorm, since
    it follows the stem's BatchNorm and ReLU.

    Pooling is global: at 32x32 it equals the reference's 8x8 pooling, and it allows other sizes.

    Args:
        num_classes: number of classes C.
        depth: 9n + 2 with n blocks per stage: 11, 20, 29, ...
        first_activation: whether a ReLU follows the first BatchNorm of a block.

    Raises:
        ValueError: if `depth` is not 9n + 2 with n of at least 1.
    """

    def __init__(
        self, *, num_classes: int, depth: int = 29, first_activation: bool = False
    ) -> None:
        super().__init__()
        check_bool("model.net.first_activation", first_activation)
        if not isinstance(depth, int) or depth < 11 or depth % 9 != 2:
            raise ValueError(
                f"depth={depth} is not 9n + 2: give 11, 20, 29, ... as model.net.depth."
            )
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        blocks = []
        in_channels = 16
        for stage, (width, out_channels) in enumerate([(16, 64), (64, 128), (128, 256)]):
            for block in range(depth // 9):
                blocks.append(
                    Bottleneck(
                        in_channels,
                        width,
                        out_channels,
                        stride=2 if stage > 0 and block == 0 else 1,
                        first_norm=stage > 0 or block > 0,
                        first_activation=first_activation,
                    )
                )
                in_channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(in_channels)
        self.dense = nn.Linear(in_channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Initialise convolutions Glorot normal (truncated), the dense layer Glorot uniform."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                kernel_area = module.kernel_size[0] * module.kernel_size[1]
                variance = 2 / (kernel_area * (module.in_channels + module.out_channels))
                truncated_normal_(module.weight, variance)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C) for images x (B, 3, H, W)."""
        x = F.relu(self.stem_norm(self.stem(x)))
        x = F.relu(self.norm(self.blocks(x)))
        return self.dense(x.mean((2, 3)))
