"""Parity: whether the number of ones in a vector of -1, 0 and 1 is odd.

The task of adaptive computation time (Graves, arXiv 1603.08983) as PonderNet has it (Banino et al., arXiv 2107.05407,
section 3.1): of the elements "a random number from 1 to 64 were randomly set to 1 or -1 and the rest were set to 0". To
extrapolate is to train on 1 to 48 of 96 elements, and to test on 49 to 96.

Difference from the paper, which draws an endless stream: every vector that there is belongs to one split alone, by a
hash. The easy vectors with few elements are so few that they would be in all splits otherwise.
Shapes: N examples, E elements of a vector.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG
from workers.tasks.task import SearchData, Split

NUM_CLASSES = 2
SPLITS = ("train", "validation", "test")
SHARES = (0.6, 0.2, 0.2)
"""Of all vectors, that belong to each split."""
MAX_ROUNDS = 200
"""Of drawing as many vectors as are asked for: a fifth of each round is kept on average."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Parity:
    """Inputs `[length]` of -1, 0 and 1; the class is 1 where the number of ones is odd, else 0."""

    length: int = Field(default=8, ge=1, le=1024)
    """Elements of a vector; 64 in the paper."""
    min_nonzero: int = Field(default=1, ge=1)
    """Fewest elements that are not 0, at random places."""
    max_nonzero: int | None = Field(default=None, ge=1)
    """Most elements that are not 0; none: all. Every number up to it is equally likely."""
    test_min_nonzero: int | None = Field(default=None, ge=1)
    """Fewest in test vectors, to see whether a network extrapolates; none: `min_nonzero`."""
    test_max_nonzero: int | None = Field(default=None, ge=1)
    """Most in test vectors; none: `max_nonzero`."""
    train_size: int = Field(default=4096, ge=2)
    """Vectors to train on; a vector may come twice within a split, never in two splits."""
    validation_size: int = Field(default=1024, ge=2)
    """Vectors that selection looks at, drawn like those to train on."""
    test_size: int = Field(default=1024, ge=2)
    """Vectors that only the final evaluation looks at."""
    data_seed: int = Field(default=0, ge=0)
    """The seed that all vectors are drawn from."""

    def __post_init__(self) -> None:
        _check_range(self._nonzero("train"), self.length, prefix="")
        _check_range(self._nonzero("test"), self.length, prefix="test_")

    def load(self) -> SearchData:
        train, validation = self._draw("train", self.train_size), self._draw("validation", self.validation_size)
        return SearchData(train=train, validation=validation, num_classes=NUM_CLASSES)

    def load_test(self) -> Split:
        return self._draw("test", self.test_size)

    def _nonzero(self, split: str) -> tuple[int, int]:
        """Fewest and most elements of a vector that are not 0."""
        fewest, most = self.min_nonzero, self.max_nonzero or self.length
        if split != "test":
            return fewest, most
        return self.test_min_nonzero or fewest, self.test_max_nonzero or most

    def _draw(self, split: str, size: int) -> Split:
        rng = np.random.default_rng((self.data_seed, SPLITS.index(split)))
        kept: list[NDArray[np.int8]] = []
        for _ in range(MAX_ROUNDS):
            drawn_NE = self._vectors(rng, split, size)
            kept.append(drawn_NE[self._owners(drawn_NE) == SPLITS.index(split)])
            if sum(map(len, kept)) >= size:
                x_NE = np.concatenate(kept)[:size]
                y_N = (x_NE == 1).sum(axis=1) % NUM_CLASSES
                return Split(x=torch.from_numpy(x_NE.astype(np.float32)), y=torch.from_numpy(y_N.astype(np.int64)))
        fewest, most = self._nonzero(split)
        raise InvalidInput(
            f"must give more vectors than {self.length} elements, {fewest} to {most} of them not 0, "
            f"of which none belongs to the {split} split",
            field="length",
        )

    def _vectors(self, rng: np.random.Generator, split: str, size: int) -> NDArray[np.int8]:
        """Vectors `[N, E]` of any split, as the paper draws them."""
        fewest, most = self._nonzero(split)
        count_N = rng.integers(fewest, most, size=size, endpoint=True)
        rank_NE = rng.random((size, self.length)).argsort(axis=1)
        sign_NE = rng.integers(2, size=(size, self.length), dtype=np.int8) * 2 - 1
        vectors_NE: NDArray[np.int8] = np.where(rank_NE < count_N[:, None], sign_NE, 0).astype(np.int8)
        return vectors_NE

    def _owners(self, vectors_NE: NDArray[np.int8]) -> NDArray[np.intp]:
        """The index `[N]` of the split that each vector belongs to."""
        rng = np.random.default_rng((self.data_seed, len(SPLITS)))
        weight_E = rng.integers(2**64, size=self.length, dtype=np.uint64)
        sum_N = (vectors_NE.astype(np.uint64) * weight_E).sum(axis=1, dtype=np.uint64)
        return np.searchsorted(np.cumsum(SHARES)[:-1], _mixed(sum_N) / 2.0**64, side="right")


def _mixed(bits_N: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al., OOPSLA 2014): without it, the split of x would tell that of -x."""
    bits_N = (bits_N ^ (bits_N >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits_N = (bits_N ^ (bits_N >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits_N ^ (bits_N >> np.uint64(31))


def _check_range(nonzero: tuple[int, int], length: int, *, prefix: str) -> None:
    fewest, most = nonzero
    if most > length:
        raise InvalidInput(f"must be at most the length {length}, got {most}", field=f"{prefix}max_nonzero")
    if fewest > most:
        raise InvalidInput(f"must be at most {prefix}max_nonzero {most}, got {fewest}", field=f"{prefix}min_nonzero")
