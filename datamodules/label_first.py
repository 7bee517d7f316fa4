"""Which labels to check first when none is trusted yet: a few varied pictures of each class."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.images import Images
from datamodules.noise import Labels
from datamodules.randomness import numpy_generator
from datamodules.split import Mask

# How many pictures of a class are considered.
_LOOKED_AT = 200
_SIDE = 8


def suggest(
    images: Images, given: Labels, per_class: int, unread: Callable[[Labels], Mask]
) -> Labels:
    """Return rows to check, with the classes interleaved.

    Some pictures of each class are shrunk and clustered by k-means; the picture nearest to each
    cluster's centre is chosen, the largest cluster first.

    Args:
        images: the N images of a list.
        given: their labels (N,), -1 where there is none.
        per_class: the most rows of each class.
        unread: of rows that were opened, tells which could not be read: nobody can check these.
    """
    rng = numpy_generator(0, "label first")
    chosen: list[list[int]] = []
    for one in range(int(given.max()) + 1):
        rows = rng.permutation(np.flatnonzero(given == one))[:_LOOKED_AT]
        features = _small(images, rows) if len(rows) else np.empty((0, 0))
        readable = ~unread(rows)
        wanted = min(per_class, int(readable.sum()))
        chosen.append(_middles(features[readable], rows[readable], wanted) if wanted else [])
    turns = [[rows[turn] for rows in chosen if turn < len(rows)] for turn in range(per_class)]
    return np.array([row for turn in turns for row in turn], dtype=np.int64)


def _small(images: Images, rows: Labels) -> NDArray[np.float64]:
    small = [
        torch.nn.functional.interpolate(
            images.for_evaluation(torch.from_numpy(part)).float(), (_SIDE, _SIDE), mode="area"
        )
        for part in np.array_split(rows, -(-len(rows) // 50))
    ]
    return torch.cat(small).flatten(1).double().numpy()


def _middles(features: NDArray[np.float64], rows: Labels, count: int) -> list[int]:
    from sklearn.cluster import KMeans

    distinct = len(np.unique(features, axis=0))
    groups = KMeans(min(count, distinct), n_init=1, random_state=0).fit(features)
    distance = groups.transform(features)
    sizes = np.bincount(groups.labels_)
    nearest = [int(distance[:, group].argmin()) for group in np.argsort(-sizes, kind="stable")]
    rest = [place for place in range(len(rows)) if place not in nearest]
    return [int(rows[place]) for place in [*nearest, *rest][:count]]
