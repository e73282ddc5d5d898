"""Handwritten digits, 8x8 grey levels, ten classes: the 1,797 images that ship inside scikit-learn.

Source: test set of UCI's Optical Recognition of Handwritten Digits (Alpaydin & Kaynak, 1998).
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from sklearn.datasets import load_digits

from search_spaces.values import CONFIG
from workers.tasks.splitting import split_indices
from workers.tasks.task import SearchData, Split

MAX_GREY = 16.0
NUM_CLASSES = 10
SPLIT_SEED = 0


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Digits:
    """Inputs `[1, 8, 8]` in [0, 1]."""

    train_size: int = 1000
    """Images to train on; fewer make the task harder."""
    validation_size: int = 300
    """Images that selection looks at."""
    test_size: int = 497
    """Images that only the final evaluation looks at."""

    def load(self) -> SearchData:
        train, validation, _ = self._splits()
        return SearchData(train=train, validation=validation, num_classes=NUM_CLASSES)

    def load_test(self) -> Split:
        return self._splits()[2]

    def _splits(self) -> tuple[Split, Split, Split]:
        pixels, labels = load_digits(return_X_y=True)
        x_NCHW = torch.from_numpy((pixels / MAX_GREY).astype(np.float32)).reshape(-1, 1, 8, 8)
        y_N = torch.from_numpy(labels.astype(np.int64))
        # The test split is cut first, so that its members do not depend on how much of the rest is used.
        sizes = {"test": self.test_size, "validation": self.validation_size, "train": self.train_size}
        parts = split_indices(labels, sizes, seed=SPLIT_SEED)
        train, validation, test = (Split(x=x_NCHW[parts[n]], y=y_N[parts[n]]) for n in ("train", "validation", "test"))
        return train, validation, test
