"""Batches of one trial: shuffled anew every epoch, by indexing data that never leaves the device."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor, nn

from controllers.seeds import derive_seed
from search_spaces.relaxations.relaxation import SemiSupervised
from workers.tasks.task import SearchData, Split


class Batches:
    """Pairs of a training batch and a validation batch; all batches of a kind have one size.

    The examples that do not fill a batch sit out the epoch; another shuffle brings them in the next. A split smaller
    than the batch is one batch. Validation batches start over when they run out before the training batches do.

    `num_unlabelled` inputs without a label come at the end of every training batch, which has `batch_size` others; they
    start over, too. There have to be so many.
    """

    def __init__(self, data: SearchData, *, batch_size: int, seed: int, num_unlabelled: int = 0) -> None:
        assert num_unlabelled <= data.num_unlabelled
        self.data = data
        self.seed = seed
        self.num_unlabelled = num_unlabelled
        self.train_size = min(batch_size, len(data.train))
        self.validation_size = min(batch_size, len(data.validation))

    def __len__(self) -> int:
        """Steps per epoch."""
        return len(self.data.train) // self.train_size

    def epoch(self, number: int, *, with_validation: bool = True) -> Iterator[tuple[Split, Split]]:
        """The batches of one epoch: a function of the seed and the epoch's number.

        Without validation, all pairs share one batch that nobody should look at, of the right size.
        """
        train = self._train(number)
        if not with_validation:
            size, data = self.validation_size, self.data.validation
            unread = Split(x=data.x[:size], y=data.y[:size])
            yield from ((batch, unread) for batch in train)
            return
        validation = self._shuffled(self.data.validation, self.validation_size, "validation", number)
        for batch, rows in zip(train, cycle(validation), strict=False):
            yield batch, _take(self.data.validation, rows)

    def _train(self, number: int) -> Iterator[Split]:
        labelled = self._shuffled(self.data.train, self.train_size, "train", number)
        if not self.num_unlabelled:
            yield from (_take(self.data.train, rows) for rows in labelled)
            return
        assert self.data.unlabelled is not None
        unlabelled = self._shuffled(self.data.unlabelled, self.num_unlabelled, "unlabelled", number)
        for rows, more in zip(labelled, cycle(unlabelled), strict=False):
            yield _joined(_take(self.data.train, rows), _take(self.data.unlabelled, more))

    def _shuffled(self, split: Split, size: int, name: str, number: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", name, number))
        order_N = torch.randperm(len(split), generator=generator).to(split.y.device)
        return torch.split(order_N[: len(split) // size * size], size)


def num_joining(network: nn.Module, *, train_size: int, available: int) -> int:
    """How many of the `available` inputs without a label join the training batches, of `train_size`, of a network."""
    return min(network.num_unlabelled(train_size), available) if isinstance(network, SemiSupervised) else 0


def _joined(first: Split, second: Split) -> Split:
    return Split(x=torch.cat([first.x, second.x]), y=torch.cat([first.y, second.y]))


def _take(split: Split, rows: Tensor) -> Split:
    return Split(x=split.x[rows], y=split.y[rows])
