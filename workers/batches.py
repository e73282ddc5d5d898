"""Batches of one trial: shuffled anew every epoch, by indexing data that never leaves the device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from controllers.seeds import derive_seed
from workers.tasks.task import SearchData, Split


class Batches:
    """Pairs of a training batch and a validation batch; all batches of a kind have one size.

    The examples that do not fill a batch sit out the epoch; another shuffle brings them in the next. A split smaller
    than the batch is one batch. Validation batches start over when they run out before the training batches do.
    """

    def __init__(self, data: SearchData, *, batch_size: int, seed: int) -> None:
        self.data = data
        self.seed = seed
        self.train_size = min(batch_size, len(data.train))
        self.validation_size = min(batch_size, len(data.validation))

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.data.train) // self.train_size

    def epoch(self, number: int, *, with_validation: bool = True) -> Iterator[tuple[Split, Split]]:
        """The batches of one epoch: a function of the seed and the epoch's number.

        Without validation, all pairs share one batch that nobody should look at, of the right size.
        """
        train = self._shuffled(self.data.train, self.train_size, "train", number)
        if not with_validation:
            size, data = self.validation_size, self.data.validation
            unread = Split(x=data.x[:size], y=data.y[:size])
            yield from ((_take(self.data.train, rows), unread) for rows in train)
            return
        validation = self._shuffled(self.data.validation, self.validation_size, "validation", number)
        for step in range(len(self)):
            yield (_take(self.data.train, train[step]), _take(self.data.validation, validation[step % len(validation)]))

    def _shuffled(self, split: Split, size: int, name: str, number: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", name, number))
        order_N = torch.randperm(len(split), generator=generator).to(split.y.device)
        return torch.split(order_N[: len(split) // size * size], size)


def _take(split: Split, rows: Tensor) -> Split:
    return Split(x=split.x[rows], y=split.y[rows])
