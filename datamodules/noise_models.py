"""The noise models that `noise_model=` chooses from, for data whose labels are clean.

Most are a transition matrix T[i, j] = P(given = j | true = i): see `noise`. The others also depend
on the image: see `instance_noise` and `feature_noise`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.feature_noise import estimate_posterior, feature_dependent
from datamodules.instance_noise import instance_dependent, pixel_features
from datamodules.noise import (
    Labels,
    Transition,
    asymmetric,
    check_rate,
    corrupt,
    corrupt_rows,
    pair_flip,
    uniform,
    uniform_other,
)
from datamodules.randomness import numpy_generator
from datamodules.transition_file import read_transition

ImageArray = npt.NDArray[np.uint8]

FEATURE_KINDS = {"feature_1": 1, "feature_2": 2, "feature_3": 3}
GIVEN, MATRIX = "given", "matrix"
NOISE_MODELS = (
    *("uniform", "uniform_other", "asymmetric", "pair_flip", MATRIX),
    *("instance", *FEATURE_KINDS),
)


class NoiseModel(NamedTuple):
    """A noise model with everything it needs except the data.

    Args:
        model: one of `NOISE_MODELS`, or `GIVEN` where noisy labels come with the data or a file.
        rate: nominal noise rate; None where these or a matrix determine it.
        matrix: path of a file with T, for `MATRIX`.
        flips: true class → given class, under asymmetric noise.
        num_classes: C.
    """

    model: str
    rate: float | None
    matrix: str | None
    flips: Mapping[int, int]
    num_classes: int

    def check(self, name: str) -> None:
        """Check the settings.

        Args:
            name: of the data set, for messages.

        Raises:
            ValueError: if nothing can be drawn with them; it names the config key.
        """
        if self.model == GIVEN:
            if self.rate is not None:
                raise ValueError(
                    f"noise={self.rate} would not be used: {name} brings its labels; leave it out."
                )
            return
        if self.model not in NOISE_MODELS:
            raise ValueError(
                f"noise_model={self.model} is unknown to {name}: give one of "
                f"{', '.join(NOISE_MODELS)}."
            )
        if (self.matrix is not None) != (self.model == MATRIX):
            raise ValueError(
                f"noise_model={self.model} with dataset.noise_matrix={self.matrix}: give a file "
                f"with the matrix and noise_model={MATRIX}, or neither."
            )
        if self.model == MATRIX:
            if self.rate is not None:
                raise ValueError(
                    f"noise={self.rate} would not be used: dataset.noise_matrix says how much "
                    "noise there is; give noise=null, too."
                )
        else:
            check_rate(self.rate)
        self.transition_matrix()

    def transition_matrix(self) -> Transition | None:
        """Return T, (C, C), or None for a model that has none."""
        rate = 0.0 if self.rate is None else self.rate
        if self.matrix is not None:
            return read_transition(Path(self.matrix).expanduser(), self.num_classes)
        matrix_of: dict[str, Callable[[], Transition]] = {
            "uniform": lambda: uniform(self.num_classes, rate),
            "uniform_other": lambda: uniform_other(self.num_classes, rate),
            "asymmetric": lambda: asymmetric(self.num_classes, rate, self.flips),
            "pair_flip": lambda: pair_flip(self.num_classes, rate),
        }
        return matrix_of[self.model]() if self.model in matrix_of else None

    def draw_labels(self, true: Labels, image: Callable[[], ImageArray], seed: int) -> Labels:
        """Draw the given labels of examples, (N,).

        Args:
            true: their clean labels (N,).
            image: returns their images (N, 3, H, W); not called if the model has a T.
            seed: the run's seed.
        """
        matrix, rng = self.transition_matrix(), numpy_generator(seed, "noise")
        if matrix is not None:
            return corrupt(true, matrix, rng)
        assert self.rate is not None
        features, classes = pixel_features(image()), self.num_classes
        if self.model == "instance":
            draws = numpy_generator(seed, "instance noise")
            rows = instance_dependent(features, true, classes, self.rate, draws)
        else:
            clean_posterior = estimate_posterior(features, true, classes, seed)
            rows = feature_dependent(clean_posterior, true, self.rate, FEATURE_KINDS[self.model])
        return corrupt_rows(rows, rng)
