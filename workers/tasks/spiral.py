"""Two interleaved spirals in the plane; the number of turns sets the difficulty.

The classic of Lang & Witbrock (1988), in the noisy form on which Nazaret & Blei (ICML 2022) show that the depth
which the data asks for grows with the number of turns. Points are drawn fresh for each split.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.values import CONFIG
from workers.tasks.task import SearchData, Split

NUM_CLASSES = 2
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Spiral:
    """Inputs `[2]`, inside the unit disc but for noise."""

    turns: float = Field(default=2.0, gt=0, le=50)
    """Full turns of each arm."""
    noise: float = Field(default=0.02, ge=0)
    """Standard deviation of the Gaussian noise on both coordinates."""
    train_size: int = Field(default=1024, ge=2)
    """Points to train on."""
    validation_size: int = Field(default=512, ge=2)
    """Points that selection looks at."""
    test_size: int = Field(default=1024, ge=2)
    """Points that only the final evaluation looks at."""
    data_seed: int = Field(default=0, ge=0)
    """Which spiral: the seed that all points are drawn from."""

    def load(self) -> SearchData:
        train, validation = self._draw("train", self.train_size), self._draw("validation", self.validation_size)
        return SearchData(train=train, validation=validation, num_classes=NUM_CLASSES)

    def load_test(self) -> Split:
        return self._draw("test", self.test_size)

    def _draw(self, split: str, size: int) -> Split:
        rng = np.random.default_rng((self.data_seed, SPLITS.index(split)))
        y_N = np.arange(size) % NUM_CLASSES
        radius_N = np.sqrt(rng.random(size))  # uniform density along the arm's area
        angle_N = 2 * math.pi * self.turns * radius_N + math.pi * y_N
        x_N2 = radius_N[:, None] * np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
        x_N2 += rng.normal(scale=self.noise, size=x_N2.shape)
        return Split(x=torch.from_numpy(x_N2.astype(np.float32)), y=torch.from_numpy(y_N.astype(np.int64)))
