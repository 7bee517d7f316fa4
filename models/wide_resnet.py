"""The Wide ResNet of the paper's reference code: AutoAugment's WRN-28-10, not the textbook one.

It differs from Zagoruyko and Komodakis (2016, arXiv:1605.07146) in its shortcuts, which have no
parameters, and in long skips over whole groups (Cubuk et al. 2019, arXiv:1805.09501, whose code
the TensorFlow release of Zhang et al., CVPR 2020, builds on).
"""

import torch.nn.functional as F
from torch import Tensor, nn


def pool_and_pad(x: Tensor, channels: int, stride: int) -> Tensor:
    """Pool x (B, c, H, W) to (B, channels, H / stride, W / stride), half the zeros on each side."""
    if stride > 1:
        x = F.avg_pool2d(x, stride)
    extra = channels - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, extra // 2, extra // 2)) if extra else x


class Block(nn.Module):
    """Two pre-activated 3x3 convolutions beside a shortcut without parameters.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, at least `in_channels`.
        stride: 1 or 2, taken by the first convolution.
        shared_activation: whether the shortcut too starts after the first BatchNorm and ReLU.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, shared_activation: bool
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.stride = stride
        self.shared_activation = shared_activation
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=2 - stride, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for its input x (B, in_channels, H, W)."""
        y = F.relu(self.norm1(x))
        shortcut = pool_and_pad(y if self.shared_activation else x, self.out_channels, self.stride)
        if self.stride == 2:
            # TensorFlow's "SAME" on an even side: all of the padding is at the bottom and right.
            y = F.pad(y, (0, 1, 0, 1))
        y = self.conv2(F.relu(self.norm2(self.conv1(y))))
        return y + shortcut


class WideResNet(nn.Module):
    """Map images (B, 3, H, W) in [-1, 1] to logits (B, C); H and W are multiples of 4.

    After each of the three groups the group's own input is added again, and after the last one the
    output of the first convolution too, both pooled and padded with zero channels as needed.

    Args:
        num_classes: number of classes C.
        depth: 6n + 4 with n blocks per group: 10, 16, 22, 28, ...
        width: factor on the groups' channels 16, 32 and 64.

    Raises:
        ValueError: if `depth` is not 6n + 4 with n of at least 1, if `width` is below 1, or, when
            called, if an image side is not a multiple of 4.
    """

    def __init__(self, *, num_classes: int, depth: int = 28, width: int = 10) -> None:
        super().__init__()
        if not isinstance(depth, int) or depth < 10 or depth % 6 != 4:
            raise ValueError(
                f"depth={depth} is not 6n + 4: give 10, 16, 22, 28, ... as model.net.depth."
            )
        if not isinstance(width, int) or width < 1:
            raise ValueError(f"width={width} is not a factor: give 1 or more as model.net.width.")
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        groups = []
        in_channels = 16
        for group, out_channels in enumerate([16 * width, 32 * width, 64 * width]):
            first_block = Block(
                in_channels, out_channels, stride=2 if group else 1, shared_activation=group == 0
            )
            other_blocks = [
                Block(out_channels, out_channels, stride=1, shared_activation=False)
                for _ in range((depth - 4) // 6 - 1)
            ]
            groups.append(nn.Sequential(first_block, *other_blocks))
            in_channels = out_channels
        self.groups = nn.ModuleList(groups)
        self.norm = nn.BatchNorm2d(in_channels)
        self.dense = nn.Linear(in_channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """Initialise convolutions He normal by fan-out, the dense layer uniform in ±1/√C."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # As in the reference, by the number of classes, not of inputs.
        bound = self.dense.out_features**-0.5
        nn.init.uniform_(self.dense.weight, -bound, bound)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, C) for images x (B, 3, H, W)."""
        if x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(
                f"Images of {x.shape[2]}x{x.shape[3]} do not pass the wide ResNet's pooling: "
                "resize them to multiples of 4 or choose another model."
            )
        stem_output = x = self.stem(x)
        for group in self.groups:
            group_input = x
            x = group(x)
            x = x + pool_and_pad(group_input, x.shape[1], group_input.shape[2] // x.shape[2])
        x = x + pool_and_pad(stem_output, x.shape[1], 4)
        return self.dense(F.relu(self.norm(x)).mean((2, 3)))
