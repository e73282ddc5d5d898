"""The number line: which of 1..N is nearest to a real number.

From Marcus Lewis's text on reactive queries (2022), which gives the idea without code: a network of one pass has to
know N - 1 thresholds, one that asks a question after the other gets by with log2 N of them. Points are drawn fresh
for each split.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG
from workers.tasks.task import SearchData, Split

DEFAULT_BITS = 6
MAX_BITS = 16
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class NumberLine:
    """Inputs `[1]`: x, drawn evenly from 1/2 to N + 1/2 and scaled to [-1, 1); the class is the nearest of 1..N.

    The scaled input is `2 (x - 1/2) / N - 1`, so that every class is an interval of width 2 / N, all of them in order.
    """

    bits: int | None = Field(default=None, ge=1, le=MAX_BITS)
    """Binary digits of N, a power of two; none: `num_classes`, or 6 bits without that."""
    num_classes: int | None = Field(default=None, ge=2, le=2**MAX_BITS)
    """N, in place of `bits`."""
    train_size: int = Field(default=4096, ge=2)
    """Points to train on: each class gets about `train_size` / N of them."""
    validation_size: int = Field(default=1024, ge=2)
    """Points that selection looks at."""
    test_size: int = Field(default=4096, ge=2)
    """Points that only the final evaluation looks at."""
    data_seed: int = Field(default=0, ge=0)
    """The seed that all points are drawn from."""

    def __post_init__(self) -> None:
        if self.bits is not None and self.num_classes is not None:
            raise InvalidInput(f"give either bits or num_classes, got {self.bits} and {self.num_classes}", field="bits")

    def load(self) -> SearchData:
        train, validation = self._draw("train", self.train_size), self._draw("validation", self.validation_size)
        return SearchData(train=train, validation=validation, num_classes=self._num_classes())

    def load_test(self) -> Split:
        return self._draw("test", self.test_size)

    def _num_classes(self) -> int:
        return self.num_classes or 2 ** (self.bits or DEFAULT_BITS)

    def _draw(self, split: str, size: int) -> Split:
        rng = np.random.default_rng((self.data_seed, SPLITS.index(split)))
        # 24 random bits are exact in float32, and so is twice their fraction less one: the label is an exact function
        # of the input that the network sees, at every number of classes.
        fraction_N = rng.random(size, dtype=np.float32)
        y_N = np.floor(fraction_N.astype(np.float64) * self._num_classes()).astype(np.int64)
        x_N1 = 2 * fraction_N[:, None] - 1
        return Split(x=torch.from_numpy(x_N1), y=torch.from_numpy(y_N))
