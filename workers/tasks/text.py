"""Text, for character language modelling: after every character, which one comes next.

The file is cut by position: it trains on the beginning and tests on the end, since neighbouring windows of one text
tell each other's words. Shapes: N windows, T characters of a window.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from search_spaces.errors import InvalidInput
from search_spaces.values import CONFIG
from workers.tasks.task import SearchData, Split

UNKNOWN = 0
"""Id of all characters that the training split does not have. As a label, it is one that no network has learned."""


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class Text:
    """Inputs `[context]`, the ids of characters; labels `[context]`, the ids of those that come next.

    An example is a window of the text; windows lie side by side, so that an epoch asks for every character once.
    Accuracy is that of all positions, loss is in nats per character. Ids are those of the training split's characters
    in order, from 1; 0 is any other character.
    """

    path: Path
    """The file, in UTF-8; every worker must see it under this name."""
    context: int = Field(default=64, ge=1)
    """Characters of a window: how far back a network can look."""
    train_size: int | None = Field(default=None, ge=1)
    """Windows to train on, from the beginning of the text; none: all that the other splits leave."""
    validation_size: int = Field(default=512, ge=1)
    """Windows that selection looks at; they come just before those of the test."""
    test_size: int = Field(default=1024, ge=1)
    """Windows that only the final evaluation looks at: the end of the text."""

    def load(self) -> SearchData:
        train, validation, _ = self._parts()
        vocabulary = np.unique(train)
        num_tokens = len(vocabulary) + 1
        return SearchData(
            train=self._windows(train, vocabulary),
            validation=self._windows(validation, vocabulary),
            num_classes=num_tokens,
            num_tokens=num_tokens,
        )

    def load_test(self) -> Split:
        train, _, test = self._parts()
        return self._windows(test, np.unique(train))

    def _parts(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
        """The characters of the three splits; no character is in two of them, also not as a label."""
        text = self._read()
        test, validation = self._num_characters(self.test_size), self._num_characters(self.validation_size)
        available = len(text) - test - validation
        train_size = self.train_size or max(1, (available - 1) // self.context)
        train = self._num_characters(train_size)
        if train > available:
            raise InvalidInput(
                f"splits must fit into the {len(text)} characters, got {train} + {validation} + {test} "
                f"for {train_size} + {self.validation_size} + {self.test_size} windows of {self.context}",
                field="test_size",
            )
        return text[:train], text[-test - validation : -test], text[-test:]

    def _num_characters(self, num_windows: int) -> int:
        """Characters that windows side by side take, with the one that comes after the last."""
        return num_windows * self.context + 1

    def _windows(self, characters: NDArray[np.uint32], vocabulary: NDArray[np.uint32]) -> Split:
        index = np.searchsorted(vocabulary, characters).clip(max=len(vocabulary) - 1)
        ids = torch.from_numpy(np.where(vocabulary[index] == characters, index + 1, UNKNOWN).astype(np.int64))
        return Split(x=ids[:-1].reshape(-1, self.context), y=ids[1:].reshape(-1, self.context))

    def _read(self) -> NDArray[np.uint32]:
        """The code points of the text."""
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InvalidInput(f"no such file: {self.path}", field="path") from None
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{self.path} is not UTF-8 text: {error.reason}", field="path") from None
        except OSError as error:
            raise InvalidInput(f"cannot read {self.path}: {error.strerror}", field="path") from None
        return np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
