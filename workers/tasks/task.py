"""What a task is: labelled inputs in three fixed splits.

Shapes: N examples, T positions of a text, `...` the shape of one input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Split:
    """Inputs and class labels.

    Either inputs `x_N...` (float32) with one label each, `y_N` (int64); or token ids `x_NT` (int64) with one label per
    position, `y_NT` (int64).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> Split:
        """A copy on `device`."""
        return Split(x=self.x.to(device), y=self.y.to(device))


@dataclass(frozen=True, kw_only=True)
class SearchData:
    """All that a search may see."""

    train: Split
    validation: Split
    num_classes: int
    num_tokens: int = 0
    """How many ids the inputs are made of, from 0; 0: the inputs are numbers, not token ids."""
    unlabelled: Split | None = None
    """More inputs to train on, whose labels nobody may see: all are `UNLABELLED`. None: there are no such."""

    @property
    def num_unlabelled(self) -> int:
        """How many of these there are."""
        return 0 if self.unlabelled is None else len(self.unlabelled)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input."""
        return tuple(self.train.x.shape[1:])

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of the labels of one input: empty for a single one."""
        return tuple(self.train.y.shape[1:])

    def to(self, device: torch.device) -> SearchData:
        """A copy on `device`, where it stays resident."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.to(device)
        return replace(self, train=self.train.to(device), validation=self.validation.to(device), unlabelled=unlabelled)


@runtime_checkable
class Task(Protocol):
    """A data set with fixed splits: the same options give the same splits on every machine.

    Options are keyword fields of a dataclass. Test data has its own door, so that only the final evaluation
    goes through it.
    """

    def load(self) -> SearchData:
        """Training and validation data, on the CPU.

        Raises:
            InvalidInput: an option is out of range for the data, or a file is missing or malformed.
        """

    def load_test(self) -> Split:
        """Test data, on the CPU."""
