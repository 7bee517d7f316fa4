"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read and checked by torchvision.

The asymmetric noise of CIFAR-100 flips every class to the next one of its superclass, as in Patrini
et al. (CVPR 2017).
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import ClassVar

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from datamodules.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES, CIFAR100_SUPERCLASS
from datamodules.clean import CleanDataModule, Source
from datamodules.noise import CIFAR10_FLIPS, next_in_superclass

SOCKET_TIMEOUT = 15.0  # seconds without receiving a byte


class CIFAR10(CleanDataModule):
    """50,000 training and 10,000 test images of 32x32 pixels, equally many of each class."""

    class_names: ClassVar[tuple[str, ...]] = CIFAR10_CLASSES
    class_sizes: ClassVar[tuple[int, ...]] = (5_000,) * 10
    flips = CIFAR10_FLIPS
    reader: ClassVar[type[datasets.CIFAR10]] = datasets.CIFAR10

    def prepare_data(self) -> None:
        """Unpack or download what is missing; Lightning calls this in one process only.

        Raises:
            ValueError: if the data are missing and cannot be downloaded, or a file is damaged.
        """
        if self.is_read:  # Lightning calls this again
            return
        self._check_undamaged()
        with _socket_timeout():
            self._open(train=False, download=True)

    def source(self) -> Source:
        """Return the images and labels in the official files' order."""
        train, test = self._open(train=True), self._open(train=False)
        return Source(
            train_image=_channels_first(train.data),
            train_label=np.array(train.targets, dtype=np.int64),
            test_image=_channels_first(test.data),
            test_label=np.array(test.targets, dtype=np.int64),
        )

    def _check_undamaged(self) -> None:
        """Raise an error that names a damaged file: unpacking again would overwrite it."""
        folder, meta = self.data_dir / self.reader.base_folder, self.reader.meta
        files = [*self.reader.train_list, *self.reader.test_list, (meta["filename"], meta["md5"])]
        for name, md5 in files:
            if (folder / name).exists() and not check_integrity(folder / name, md5):
                raise ValueError(
                    f"{folder / name} is damaged or another file (its MD5 is not {md5}): put an "
                    "intact one there, or take it away to have all of them unpacked or downloaded "
                    "again, or set data_dir to where they are."
                )

    def _open(self, *, train: bool, download: bool = False) -> datasets.CIFAR10:
        try:
            return self.reader(self.data_dir, train=train, download=download)
        except (OSError, HTTPException, RuntimeError) as error:
            attempt = f", and getting it failed ({error})" if download else ""
            raise ValueError(
                f"No intact {self.reader.__name__} in data_dir={self.data_dir}{attempt}: put there "
                f"the folder {self.reader.base_folder} or the archive {self.reader.filename} from "
                "https://www.cs.toronto.edu/~kriz/cifar.html, or set data_dir to where they are; "
                "dataset=digits_asym needs no files."
            ) from None


class CIFAR100(CIFAR10):
    """Like CIFAR-10, with 100 classes in 20 superclasses."""

    class_names = CIFAR100_CLASSES
    class_sizes = (500,) * 100
    flips = next_in_superclass(CIFAR100_SUPERCLASS)
    reader = datasets.CIFAR100


def _channels_first(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(0, 3, 1, 2).contiguous()


@contextmanager
def _socket_timeout() -> Iterator[None]:
    """Set a socket timeout, so that a dead connection does not hang the run."""
    default_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SOCKET_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(default_timeout)
